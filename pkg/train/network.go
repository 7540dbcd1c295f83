package train

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Network is a model that a Step trains, with how it is trained. Several networks (a policy and its critic) are trained
// by one loss in one graph, each with its own optimiser.
type Network struct {
	// Name is the network's key in Result and in checkpoints, such as "policy". A file name.
	Name string
	// Trunk is the model in the graph.
	Trunk *model.Trunk
	// Params are the weights of Trunk, changed in place. Nil means Trunk.Params().
	Params *model.Params
	// Optim changes the weights. It belongs to this network alone.
	Optim *optim.AdamW
	// Schedule gives the learning rate of every step.
	Schedule optim.Schedule
	// MaxGradNorm is the global norm that gradients are clipped to. 0 means no clipping. Paper 2.2: 1.0.
	MaxGradNorm float64
	// Frozen are patterns of names of weights, by path.Match, that are not trained: no gradient of
	// theirs is computed, and they have no moments.
	Frozen []string
	// LRFactors multiply the learning rate of weights by name; the first pattern that fits counts.
	// They are put into Optim.
	LRFactors []LRFactor
}

// network is a Network as a Step works with it. It starts with all weights that are not frozen, in
// the order of Params.All; use drops those that the loss does not depend on.
type network struct {
	Network
	nodes  []*gorgonia.Node // of params, until use
	params []optim.Param    // weights to train
	grads  []*gorgonia.Node // their gradients
	sums   []*tensor.Dense  // their memory in the program, which adds them up over the micro-batches of a step
}

// newNetwork checks a network. NewStep fills in grads.
func newNetwork(n Network) (*network, error) {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("train: network %q: "+format, append([]any{n.Name}, args...)...))
	}
	if n.Name == "" {
		fail("it has no name")
	}
	if n.Trunk == nil {
		fail("Trunk is nil")
	} else if n.Params == nil {
		n.Params = n.Trunk.Params()
	} else if n.Params != n.Trunk.Params() {
		fail("Params are not those that Trunk was made with")
	}
	if n.Optim == nil {
		fail("Optim is nil, want an optimiser such as optim.DefaultAdamW()")
	} else if err := n.Optim.Validate(); err != nil {
		fail("%w", err)
	}
	if n.Schedule == nil {
		fail("Schedule is nil, want one such as optim.Constant{Peak: 1e-5}")
	} else if v, ok := n.Schedule.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			fail("%w", err)
		}
	}
	if !(n.MaxGradNorm >= 0) {
		fail("MaxGradNorm is %g, want at least 0", n.MaxGradNorm)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	net := &network{Network: n}
	if err := net.collect(); err != nil {
		return nil, fmt.Errorf("train: network %q: %w", n.Name, err)
	}
	return net, nil
}

// collect lists the weights that are not frozen, and gives the optimiser their factors.
func (n *network) collect() error {
	all, nodes := n.Params.All(), n.Trunk.ParamNodes()
	if len(all) != len(nodes) {
		return fmt.Errorf("the weights were changed after the trunk was made: %d instead of %d", len(all), len(nodes))
	}
	if err := checkPatterns("train: Network", each.Of(all, func(p *optim.Param) string { return p.Name }), n.Frozen, n.LRFactors); err != nil {
		return err
	}
	matches := func(pattern, name string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	}
	for i, p := range all {
		frozen, factor := false, 1.0
		for _, pattern := range n.Frozen {
			frozen = matches(pattern, p.Name) || frozen
		}
		for _, f := range slices.Backward(n.LRFactors) {
			if matches(f.Pattern, p.Name) {
				factor = f.Factor
			}
		}
		if factor != 1 {
			n.Optim.SetLRFactor(p.Name, factor)
		}
		if !frozen {
			n.params, n.nodes = append(n.params, *p), append(n.nodes, nodes[i])
		}
	}
	if len(n.params) == 0 {
		return errors.New("all of its weights are frozen")
	}
	return nil
}

// CheckPatterns refuses patterns that match none of the names of a model's weights, or of ExtraWeights.
func (s Settings) CheckPatterns(p *model.Params) error {
	names := each.Of(s.ExtraWeights, func(w optim.Param) string { return w.Name })
	for _, w := range p.All() {
		names = append(names, w.Name)
	}
	return checkPatterns("train: Settings", names, s.Frozen, s.LRFactors)
}

func checkPatterns(owner string, names, frozen []string, factors []LRFactor) error {
	c := setting.NewChecks(owner)
	matches := func(pattern string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			ok, _ := path.Match(pattern, name)
			return ok
		})
	}
	const want = "a pattern that matches a weight, such as embed, norm, output or layers.0.*"
	for i, pattern := range frozen {
		c.That(matches(pattern), fmt.Sprintf("Frozen[%d]", i), pattern, want)
	}
	for i, f := range factors {
		c.That(matches(f.Pattern), fmt.Sprintf("LRFactors[%d]", i), f, want)
	}
	return c.Err()
}

// use keeps the weights that the loss depends on, and prepares the optimiser for them.
func (n *network) use(grads []*gorgonia.Node) error {
	all := n.params
	n.params = nil
	for i, p := range all {
		if grads[i] == nil {
			continue
		}
		if !grads[i].Shape().Eq(p.Value.Shape()) {
			return fmt.Errorf("train: network %q: the gradient of %s is %v, want %v", n.Name, p.Name, grads[i].Shape(), p.Value.Shape())
		}
		n.params = append(n.params, p)
		n.grads = append(n.grads, grads[i])
	}
	if len(n.params) == 0 {
		return fmt.Errorf("train: the loss does not depend on network %q", n.Name)
	}
	n.Optim.SetBackend(n.Params.Backend())
	if err := n.Optim.Init(n.params); err != nil {
		return fmt.Errorf("train: network %q: %w", n.Name, err)
	}
	return nil
}

// rate is the learning rate of a step.
func (n *network) rate(step int) (float64, error) {
	lr := n.Schedule.LR(step)
	if !(lr >= 0) || math.IsInf(lr, 0) {
		return 0, fmt.Errorf("train: network %q: the learning rate of step %d is %g, want a number of at least 0", n.Name, step, lr)
	}
	return lr, nil
}

// find finds out where the program leaves the gradients.
func (n *network) find(p *exec.Program) error {
	for k, node := range n.grads {
		v, err := p.Value(node)
		if err != nil {
			return fmt.Errorf("train: %w", err)
		}
		g, ok := v.(*tensor.Dense)
		if !ok {
			return fmt.Errorf("train: the gradient of %s/%s is a %T", n.Name, n.params[k].Name, v)
		}
		n.sums = append(n.sums, g)
	}
	return nil
}

// firstNonFinite names the first weight whose gradient is not finite. If there is none the norm itself overflowed.
func (n *network) firstNonFinite(norm float64) (string, float64) {
	for i, g := range n.sums {
		part, err := optim.GlobalNorm(n.Params.Backend(), []*tensor.Dense{g})
		if err == nil && (math.IsNaN(part) || math.IsInf(part, 0)) {
			return n.params[i].Name, part
		}
	}
	return "*", norm
}
