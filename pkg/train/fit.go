package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Task is what a stage gives to Fit: what it trains on and by which loss.
type Task[T any] struct {
	// Stage names the stage in logs and checkpoints, such as "sft".
	Stage string
	// Config, which encodes as JSON, and Data identify the run: a checkpoint is resumed with equal
	// ones only. Data writes what is trained on, see run.Items. Both are needed with checkpoints only.
	Config any
	Data   func(*run.Digest)
	// Steps is the number of optimisation steps. The learning rate rises in the first Warmup of them
	// and falls along a cosine in the others. A Warmup longer than Steps counts as Steps.
	Steps, Warmup int
	// Source hands out the items of each step. If it is Listed, all items are checked before the first.
	Source Source[T]
	// Lengths returns the number of tokens of each segment that Add makes of an item.
	Lengths func(item T) []int
	// Add puts an item into a micro-batch, as the next segments.
	Add func(r *data.Ragged, item T) error
	// Loss builds the loss. It is called once, and once more for evaluations.
	Loss func(Graph) (Terms, error)
	// HeldOut are items that are evaluated by the same loss, see Settings.EvalEvery.
	HeldOut []T
	// Digest writes a held-out item into the identity of the run.
	Digest func(*run.Digest, T)
	// Better says whether an evaluation is better than the best one before. Both have the numbers
	// "loss" and those of Terms.Metrics. Nil means a lower loss.
	Better func(now, best map[string]float64) bool
	// Fields name the settings behind Steps and Warmup, for the warnings of a Plan.
	Fields PlanFields
}

// Graph is what a loss is built on.
type Graph struct {
	In    *model.Inputs
	Trunk *model.Trunk
	// Extra are the nodes of Settings.ExtraWeights, by name.
	Extra map[string]*gorgonia.Node
}

// Report is what Fit did.
type Report struct {
	Steps  int     // optimisation steps
	Tokens int     // tokens read, counted or not
	Loss   float64 // of the last step
	// Accuracy is the metric "accuracy" of the last step, before it was trained on; 0 if there is
	// none.
	Accuracy float64
	// BestStep is the number of steps after which the evaluation was best, 0 without evaluations.
	// The weights are those after this step.
	BestStep int
	// HeldOut are the numbers of that evaluation.
	HeldOut map[string]float64
	// Stopped is the reason why the run ended before its last step: Settings.Patience or that of
	// StepInfo.Stop. Empty for a run that did all steps.
	Stopped string
}

// networkName is the name of the one network that Fit trains.
const networkName = "model"

// ownMetrics are the names of what Fit reports beside the metrics of the loss; those that begin with
// evalPrefix are of evaluations. A metric "loss" takes the place of the loss in reports.
var ownMetrics = []string{"num_tokens", "learning_rate", "grad_norm", "epoch"}

const evalPrefix = "eval/"

// Fit trains p in place: it is the loop of all stages that train one model by gradient descent on
// items. Each step takes the items of a batch, packs them whole into ragged micro-batches and steps
// AdamW on the whole batch. When the context ends, p holds the weights of the last finished step.
// With Settings.Checkpointing a run that was stopped resumes where it was, with the same bits. With
// Settings.EvalEvery p holds the weights of the best evaluation at the end.
//
// Errors do not name the stage: it puts its name before them.
func Fit[T any](ctx context.Context, p *model.Params, task Task[T], s Settings) (Report, error) {
	// 1. Build the graph: trunk, loss, gradients.
	phase := func(name string, done int) {
		if s.OnPhase != nil {
			s.OnPhase(name, done, task.Steps)
		}
	}
	phase("compiling", 0)
	f, err := newFit(p, task, s)
	if err != nil {
		return Report{}, err
	}

	// 2. Resume where an earlier run stopped.
	phase("hashing", 0)
	if err := f.resume(ctx); err != nil {
		return f.report, err
	}

	if s.OnPlan != nil {
		s.OnPlan(f.plan())
	}

	phase("training", f.report.Steps)
	for !f.ended() {
		if f.reports == nil { // else the run was stopped between a step and its evaluation
			// 3. Take the items of the step.
			items, epochs, err := task.Source.Next(ctx)
			if err != nil {
				return f.report, f.stop(fmt.Errorf("step %d: %w", f.report.Steps, err))
			}

			// 4. Pack them into micro-batches.
			micro, err := f.fill(f.batch, items)
			if err != nil {
				return f.report, err
			}

			// 5. One optimisation step on the whole batch.
			result, err := f.step.Run(ctx, micro)
			if err != nil {
				return f.report, f.stop(fmt.Errorf("step %d: %w", f.report.Steps, err))
			}
			if err := f.stepped(result, UsedTokens(micro), epochs); err != nil {
				return f.report, err
			}
		}

		// 6. Evaluate on the held-out items.
		if err := f.evaluate(ctx); err != nil {
			return f.report, f.stop(fmt.Errorf("evaluation after step %d: %w", f.report.Steps, err))
		}

		// 7. Report.
		info := StepInfo{Stage: task.Stage, Step: f.report.Steps, Total: task.Steps, Metrics: f.reports}
		f.report.Stopped = info.Tell(s.OnStep)
		f.reports = nil

		// 8. Save a checkpoint: at the end too, because the caller may be stopped in what it does with the result.
		if s.Checkpointing.Dir != "" && (f.report.Steps%s.Checkpointing.Every == 0 || f.ended()) {
			if err := f.save(); err != nil {
				return f.report, err
			}
		}
	}

	// 9. Take the weights of the best evaluation.
	if err := f.takeBest(); err != nil {
		return f.report, err
	}
	return f.report, Diverged(f.params, f.report.Steps)
}

// fit is a run of Fit.
type fit[T any] struct {
	Task[T]
	Settings
	params *model.Params // with ExtraWeights
	step   *Step
	batch  *Batch
	id     run.Identity
	eval   *evaluation   // nil without evaluations
	best   *model.Params // weights of the best evaluation, nil before the first

	report   Report
	reports  map[string]float64 // of the last step, until OnStep is called with them
	position json.RawMessage    // of the source, after the last step
	worse    int                // evaluations since the best
}

// validate reports what is missing in a task, and evaluations without items or the other way round.
func (t Task[T]) validate(s Settings) error {
	c := setting.NewChecks("train: Task")
	c.AtLeast("Steps", t.Steps, 1)
	c.AtLeast("Warmup", t.Warmup, 0)
	c.That(t.Source != nil, "Source", t.Source, "a source of items")
	c.That(t.Lengths != nil && t.Add != nil && t.Loss != nil, "Lengths, Add or Loss", nil, "three functions")
	if s.Checkpointing.Dir != "" {
		c.That(t.Data != nil && (t.Digest != nil || t.HeldOut == nil), "Data or Digest", nil, "functions that identify the run, with Checkpointing")
	}
	err := c.Err()
	c = setting.NewChecks("train: Settings")
	c.That(s.EvalEvery == 0 || len(t.HeldOut) > 0, "EvalEvery", s.EvalEvery, "0 without held-out items")
	c.That(s.EvalEvery > 0 || len(t.HeldOut) == 0, "EvalEvery", s.EvalEvery, "at least 1 with held-out items")
	return errors.Join(err, c.Err())
}

func newFit[T any](p *model.Params, task Task[T], s Settings) (*fit[T], error) {
	if p == nil {
		return nil, errors.New("the model is nil")
	}
	if err := errors.Join(s.Validate(), task.validate(s)); err != nil {
		return nil, err
	}
	f := &fit[T]{Task: task, Settings: s, params: p.Share(), batch: NewBatch(s.MicroTokens, s.MicroSegments)}
	for _, w := range s.ExtraWeights {
		if err := f.params.Add(w.Name, w.Value, w.Decay); err != nil {
			return nil, fmt.Errorf("custom weight %q: %w", w.Name, err)
		}
	}
	g, terms, err := f.graph()
	if err != nil {
		return nil, err
	}
	f.step, err = NewStep(g.In, terms, []Network{{
		Name:        networkName,
		Trunk:       g.Trunk,
		Optim:       s.Optim.AdamW(),
		Schedule:    s.Optim.Cosine(s.MinLRRatio, task.Warmup, task.Steps),
		MaxGradNorm: s.Optim.MaxGradNorm,
		Frozen:      s.Frozen,
		LRFactors:   s.LRFactors,
	}}, Options{Recompute: s.Recompute, MaxMemory: s.MaxMemory})
	if err != nil {
		return nil, err
	}
	if err := f.checkItems(); err != nil {
		return nil, err
	}
	if s.EvalEvery > 0 {
		if err := f.newEvaluation(); err != nil {
			return nil, err
		}
	}
	return f, f.memory().Check(s.MaxMemory)
}

// graph builds the model and the loss in a new graph.
func (f *fit[T]) graph() (g Graph, terms Terms, err error) {
	g.In = model.NewInputs(tensor.Float32, f.MicroTokens, f.MicroSegments)
	if g.Trunk, err = model.NewTrunk(g.In, f.params, networkName); err != nil {
		return g, terms, err
	}
	nodes := g.Trunk.ParamNodes()
	nodes = nodes[len(nodes)-len(f.ExtraWeights):]
	g.Extra = make(map[string]*gorgonia.Node, len(nodes))
	for i, w := range f.ExtraWeights {
		g.Extra[w.Name] = nodes[i]
	}
	if terms, err = Build(f.Loss, g); err != nil {
		return g, terms, fmt.Errorf("loss: %w", err)
	}
	for _, m := range terms.Metrics {
		if slices.Contains(ownMetrics, m.Name) || strings.HasPrefix(m.Name, evalPrefix) {
			return g, terms, fmt.Errorf("loss: the metric %q has a name that training itself reports: give it another", m.Name)
		}
	}
	return g, terms, nil
}

// ended says whether all is done, or training does not get better any more, or a callback stopped it.
func (f *fit[T]) ended() bool {
	if f.reports != nil || f.report.Stopped != "" {
		return f.reports == nil
	}
	if f.Patience > 0 && f.worse >= f.Patience {
		f.report.Stopped = fmt.Sprintf("no better evaluation in %d", f.worse)
		return true
	}
	return f.report.Steps >= f.Steps
}

// fill packs items into micro-batches.
func (f *fit[T]) fill(batch *Batch, items []T) ([]*data.Ragged, error) {
	lengths := make([][]int, len(items))
	for i, item := range items {
		lengths[i] = f.Lengths(item)
	}
	plan, err := data.PackGroups(lengths, f.MicroTokens, f.MicroSegments)
	if err != nil {
		return nil, err
	}
	return batch.Fill(plan, func(r *data.Ragged, i int) error { return f.Add(r, items[i]) })
}

// stepped takes note of a finished step.
func (f *fit[T]) stepped(r Result, tokens int, epochs float64) (err error) {
	f.report.Steps++
	f.report.Tokens += tokens
	f.report.Loss, f.report.Accuracy = r.Loss, Finite(r.Metrics)["accuracy"]
	f.reports = map[string]float64{
		"loss":          r.Loss,
		"num_tokens":    float64(f.report.Tokens),
		"learning_rate": r.LR[networkName],
		"grad_norm":     r.GradNorm[networkName],
		"epoch":         epochs,
	}
	maps.Copy(f.reports, r.Metrics)
	f.position, err = f.Source.Position()
	return err
}

// state is the position of a run in its checkpoint.
type state struct {
	Report
	Source  json.RawMessage    // position of the source
	Worse   int                // evaluations since the best
	Reports map[string]float64 // of the last step, if its evaluation was not finished
}

// resume identifies the run and takes over the state of its checkpoint, if there is one.
func (f *fit[T]) resume(ctx context.Context) (err error) {
	if f.Checkpointing.Dir == "" {
		return nil
	}
	if f.id, err = run.NewIdentity(ctx, f.Stage, f.Config, f.identify, f.params); err != nil {
		return err
	}
	c, err := f.Checkpointing.Load(ctx, f.id)
	if err != nil || c == nil {
		return err
	}
	var at state
	if err := json.Unmarshal(c.State.Position, &at); err != nil {
		return fmt.Errorf("train: %s: position: %w", f.Checkpointing.Dir, err)
	}
	if at.Steps != c.State.Step || at.Steps > f.Steps || at.BestStep > at.Steps {
		return fmt.Errorf("train: %s: position: step %d of %d, best step %d, but the optimiser did %d: delete it and start again",
			f.Checkpointing.Dir, at.Steps, f.Steps, at.BestStep, c.State.Step)
	}
	if err := f.params.CopyFrom(c.Params); err != nil {
		return fmt.Errorf("train: %s: %w", f.Checkpointing.Dir, err)
	}
	if err := f.step.Restore(c); err != nil {
		return err
	}
	f.best = c.Models[bestName]
	f.report, f.position, f.worse, f.reports = at.Report, at.Source, at.Worse, at.Reports
	f.report.Stopped = ""
	if at.Source == nil {
		return nil
	}
	return f.Source.Seek(at.Source)
}

// identify writes all that the run reads, besides the model.
func (f *fit[T]) identify(d *run.Digest) {
	f.Data(d)
	if f.HeldOut != nil {
		d.Part("held-out data")
		run.Items(f.Digest, f.HeldOut)(d)
	}
}

// stop saves the run, so that nothing is lost, and returns the error that ends it before its time.
func (f *fit[T]) stop(err error) error { return errors.Join(err, f.save()) }

func (f *fit[T]) save() error {
	if f.Checkpointing.Dir == "" {
		return nil
	}
	raw, err := json.Marshal(state{Report: f.report, Source: f.position, Worse: f.worse, Reports: Finite(f.reports)})
	if err != nil {
		return fmt.Errorf("train: checkpoint: position: %w", err)
	}
	c := &Checkpoint{Params: f.params, State: State{Stage: f.Stage, Position: raw}}
	f.step.Checkpoint(c)
	if f.best != nil {
		c.Models = map[string]*model.Params{bestName: f.best}
	}
	return f.Checkpointing.Save(c, f.id)
}

// Finite returns the metrics without NaN and Inf, which JSON does not have.
func Finite(metrics map[string]float64) map[string]float64 {
	kept := maps.Clone(metrics)
	maps.DeleteFunc(kept, func(_ string, x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
	return kept
}
