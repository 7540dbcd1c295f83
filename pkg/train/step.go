package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
)

// Options of NewStep. The zero value is what training uses.
type Options struct {
	// Frozen are trunks of the graph that the loss reads and that are not trained, such as a reference model.
	Frozen []*model.Trunk
	// Scalars are values of further scalar inputs, such as "temperature". See Step.SetScalar.
	Scalars map[string]float64
	// Timing adds up the time of every operator, see Step.Timings.
	Timing bool
	// Recompute keeps only the input of each layer of the trained networks, (N, C), for the backward pass, which computes the
	// inside of a layer once more. The intermediates of a model of 12 layers then need a sixth of the memory, and a step takes up
	// to a third longer. The bits are the same.
	Recompute bool
	// MaxMemory is the number of bytes that the step may work in, see Memory; 0 for no limit. A step that
	// needs more is a *MemoryError, before that is allocated.
	MaxMemory int
}

// Step is one optimisation step, compiled: it runs micro-batches one after another, adds up their gradients in that
// order, clips and steps the optimisers. Use NewStep.
type Step struct {
	in      *model.Inputs
	terms   Terms
	nets    []*network
	opt     Options
	program *exec.Program
	feed    *model.Feed
	scalars map[string]float64
	tokens  bool // the loss counts tokens
	step    int

	sums   []backend.Buffer // where the program leaves the loss and the metrics
	result Result           // its maps are used again
}

// NewStep differentiates the loss by the weights of the networks and compiles everything into one program. The terms
// are built on in, and a graph can be differentiated once only. Weights that the loss does not depend on stay as they are.
func NewStep(in *model.Inputs, terms Terms, nets []Network, opt Options) (*Step, error) {
	if in == nil {
		return nil, errors.New("train: inputs are nil")
	}
	if err := terms.validate(in); err != nil {
		return nil, err
	}
	if len(nets) == 0 {
		return nil, errors.New("train: there is no network to train")
	}
	s := &Step{in: in, terms: terms, opt: opt, scalars: maps.Clone(opt.Scalars)}
	if s.scalars == nil {
		s.scalars = map[string]float64{}
	}
	var wrt []*gorgonia.Node
	for i, n := range nets {
		for _, other := range nets[:i] {
			if n.Name == other.Name || n.Trunk == other.Trunk || n.Optim == other.Optim {
				return nil, fmt.Errorf("train: networks %q and %q share a name, a trunk or an optimiser", other.Name, n.Name)
			}
		}
		net, err := newNetwork(n)
		if err != nil {
			return nil, err
		}
		s.nets = append(s.nets, net)
		wrt = append(wrt, net.nodes...)
	}
	if err := s.checkParameters(); err != nil {
		return nil, err
	}
	if err := s.memoryOfWeights().Check(opt.MaxMemory); err != nil {
		return nil, err
	}
	grads, err := Grad(terms.Loss, wrt)
	if err != nil {
		return nil, err
	}
	for _, n := range s.nets {
		if err := n.use(grads[:len(n.nodes)]); err != nil {
			return nil, err
		}
		grads = grads[len(n.nodes):]
	}
	if err := s.compile(); err != nil {
		return nil, err
	}
	s.tokens = s.program.Needs(in.Mask)
	for _, name := range []string{ScalarTokens, ScalarWeight} {
		s.tokens = s.tokens || slices.Contains(in.Scalars(), name) && s.program.Needs(in.Scalar(name))
	}
	s.result = Result{Metrics: map[string]float64{}, GradNorm: map[string]float64{}, LR: map[string]float64{}}
	return s, nil
}

// validate says what is wrong with the terms.
func (t Terms) validate(in *model.Inputs) error {
	if t.Loss == nil {
		return errors.New("train: the loss is nil")
	}
	for i, m := range append([]Metric{{"loss", t.Loss}}, t.Metrics...) {
		switch {
		case m.Value == nil:
			return fmt.Errorf("train: metric %q is nil", m.Name)
		case m.Value.Graph() != in.G:
			return fmt.Errorf("train: %q is a node of another graph than the inputs", m.Name)
		case !m.Value.IsScalar():
			return fmt.Errorf("train: %q is %v, want a scalar: sum it up", m.Name, m.Value.Shape())
		case i > 0 && slices.ContainsFunc(t.Metrics[:i-1], func(o Metric) bool { return o.Name == m.Name }):
			return fmt.Errorf("train: two metrics are named %q", m.Name)
		}
	}
	return nil
}

// compile makes the program of the loss, the metrics and the gradients, with weights and inputs bound, and finds out where it
// leaves them.
func (s *Step) compile() (err error) {
	outputs := []*gorgonia.Node{s.terms.Loss}
	for _, m := range s.terms.Metrics {
		outputs = append(outputs, m.Value)
	}
	opt := exec.Options{Timing: s.opt.Timing}
	trunks := slices.Clone(s.opt.Frozen)
	for _, n := range s.nets {
		outputs = append(outputs, n.grads...)
		trunks = append(trunks, n.Trunk)
		opt.Sums = append(opt.Sums, n.grads...)
		if s.opt.Recompute {
			opt.Recompute = append(opt.Recompute, n.Trunk.Layers()...)
		}
	}
	before := s.memoryOfWeights()
	if s.opt.MaxMemory > 0 {
		opt.MaxArena = max(s.opt.MaxMemory-before.Total(), 1)
	}
	if s.program, s.feed, err = compile(s.in, outputs, trunks, opt); err != nil {
		var large *exec.MemoryError
		if errors.As(err, &large) {
			before.Intermediates = large.Arena
			return &MemoryError{Memory: before, Max: s.opt.MaxMemory}
		}
		return err
	}
	for _, n := range outputs[:1+len(s.terms.Metrics)] {
		buf, err := s.program.Buffer(n)
		if err != nil {
			return fmt.Errorf("train: %w", err)
		}
		s.sums = append(s.sums, buf)
	}
	for _, n := range s.nets {
		if err := n.find(s.program); err != nil {
			return err
		}
	}
	return nil
}

// compile makes a program whose weights and inputs are bound.
func compile(in *model.Inputs, outputs []*gorgonia.Node, trunks []*model.Trunk, opt exec.Options) (*exec.Program, *model.Feed, error) {
	opt.Backend = in.Backend()
	program, err := exec.Compile(outputs, opt)
	if err != nil {
		return nil, nil, fmt.Errorf("train: %w", err)
	}
	for _, t := range trunks {
		if err := t.Bind(program); err != nil {
			return nil, nil, fmt.Errorf("train: %w", err)
		}
	}
	feed, err := in.NewFeed(program)
	if err != nil {
		return nil, nil, fmt.Errorf("train: %w", err)
	}
	return program, feed, nil
}

// Done is the number of steps done, and the number of the next one.
func (s *Step) Done() int { return s.step }

// SetScalar gives a scalar input, such as "temperature", its value from the next Run on. ScalarTokens, ScalarWeight,
// ScalarSeqs and ScalarStep are set by Run itself.
func (s *Step) SetScalar(name string, x float64) { s.scalars[name] = x }

// Timings is the time spent in each operator over all steps, by its name. Empty without Options.Timing.
func (s *Step) Timings() map[string]time.Duration { return s.program.Timings() }

// Run does one optimisation step over a batch cut into micro-batches. Counts that the loss divides by are those of the
// whole batch, so it does not matter, up to rounding, how the batch is cut. On an error (a cancelled context, a
// *NonFiniteError) nothing has changed. The maps of the Result are the Step's own: they are valid until the next Run, see
// Result.Clone. But for its first call Run allocates nothing.
func (s *Step) Run(ctx context.Context, micro []*data.Ragged) (Result, error) {
	// 1. Count the whole batch.
	r := Result{Step: s.step, Metrics: s.result.Metrics, GradNorm: s.result.GradNorm, LR: s.result.LR}
	clear(r.Metrics)
	setCounts(s.scalars, s.step, micro...)
	r.Tokens, r.Seqs = int(s.scalars[ScalarTokens]), int(s.scalars[ScalarSeqs])
	r.Weight = s.scalars[ScalarWeight]
	if r.Seqs == 0 {
		return Result{}, fmt.Errorf("train: step %d: the batch is empty", s.step)
	}
	if r.Tokens == 0 && s.tokens {
		return Result{}, fmt.Errorf("train: step %d: %w", s.step, ErrNoTokens)
	}

	// 2. Run the micro-batches and add up.
	for i, b := range micro {
		if err := s.runMicro(ctx, b, i > 0); err != nil {
			return Result{}, fmt.Errorf("train: step %d: micro-batch %d: %w", s.step, i, err)
		}
		loss := number(s.sums[0])
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return Result{}, s.nonFinite(ctx, "loss", loss, micro, i)
		}
		r.Loss += loss
		for k, m := range s.terms.Metrics {
			r.Metrics[m.Name] += number(s.sums[1+k])
		}
	}

	// 3. Norms and learning rates. After this nothing fails any more.
	for _, n := range s.nets {
		norm, err := optim.GlobalNorm(s.in.Backend(), n.sums)
		if err != nil {
			return Result{}, fmt.Errorf("train: network %q: %w", n.Name, err)
		}
		if math.IsNaN(norm) || math.IsInf(norm, 0) {
			name, value := n.firstNonFinite(norm)
			return Result{}, s.nonFinite(ctx, "gradient of "+n.Name+"/"+name, value, micro, -1)
		}
		lr, err := n.rate(s.step)
		if err != nil {
			return Result{}, err
		}
		r.GradNorm[n.Name], r.LR[n.Name] = norm, lr
	}
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("train: step %d: %w", s.step, err)
	}

	// 4. Clip and step.
	for _, n := range s.nets {
		if err := n.Optim.Step(n.params, n.sums, r.LR[n.Name], optim.ClipScale(r.GradNorm[n.Name], n.MaxGradNorm)); err != nil {
			return Result{}, fmt.Errorf("train: network %q: %w", n.Name, err)
		}
	}
	s.step++
	return r, nil
}

// runMicro runs the program on one micro-batch, and adds its gradients to those of the ones before. The program asks the
// context.
func (s *Step) runMicro(ctx context.Context, b *data.Ragged, add bool) error {
	if err := s.feed.Load(b, s.scalars); err != nil {
		return err
	}
	if add {
		return s.program.RunAdd(ctx)
	}
	return s.program.Run(ctx)
}

// nonFinite looks for the operator that made a NaN or Inf, by running the micro-batches again with a look at every result:
// the one given, or all of them for -1.
func (s *Step) nonFinite(ctx context.Context, what string, value float64, micro []*data.Ragged, at int) error {
	found := &NonFiniteError{Step: s.step, MicroBatch: at, What: what, Value: value}
	s.program.CheckFinite(true)
	defer s.program.CheckFinite(false)
	for i, b := range micro {
		if at >= 0 && i != at {
			continue
		}
		var op *exec.NonFiniteError
		switch err := s.runMicro(ctx, b, false); {
		case errors.As(err, &op):
			found.MicroBatch, found.Op, found.Node = i, op.Op, op.Node
			return found
		case err != nil:
			return errors.Join(found, err)
		}
	}
	return found
}

// number is the value of a scalar.
func number(buf backend.Buffer) float64 {
	if buf.F64 != nil {
		return buf.F64[0]
	}
	return float64(buf.F32[0])
}
