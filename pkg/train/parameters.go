package train

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
)

// checkParameters refuses a loss that depends on a leaf of the graph that is neither an input nor a
// weight of a network: nothing would train it, and it would silently stay what it is.
func (s *Step) checkParameters() error {
	known := map[*gorgonia.Node]bool{}
	trunks := slices.Clone(s.opt.Frozen)
	for _, n := range s.nets {
		trunks = append(trunks, n.Trunk)
	}
	for _, t := range trunks {
		for _, n := range t.ParamNodes() {
			known[n] = true
		}
	}
	for n := range dependsOn(s.terms.Loss) {
		if n.Op() == nil && !known[n] && !s.in.Has(n) {
			return fmt.Errorf("train: the loss depends on %q, %v, which is no weight of a network: give what shall be trained as Settings.ExtraWeights "+
				"(Params.Add before NewTrunk), and make a fixed number with gorgonia.NewConstant", n.Name(), n.Shape())
		}
	}
	return nil
}
