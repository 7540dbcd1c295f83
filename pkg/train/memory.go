package train

import "gorgonia.org/tensor"

// Memory is what a Step works in, in bytes. It depends neither on the number of micro-batches nor on what is in them.
type Memory struct {
	// Weights are those of the trained networks, which the Step shares with its caller.
	Weights int
	// Gradients are as large as the weights that have one; micro-batches are added up in them.
	Gradients int
	// Moments are AdamW's two for each weight that has a gradient.
	Moments int
	// Intermediates is the arena of the program, see exec.Program. Options.Recompute makes it smaller.
	Intermediates int
}

// Total is the sum of all.
func (m Memory) Total() int { return m.Weights + m.Gradients + m.Moments + m.Intermediates }

// Memory says what the step works in. Kernels have scratch memory beside that, a few megabytes for each thread.
func (s *Step) Memory() Memory {
	m := Memory{Intermediates: s.program.ArenaBytes()}
	for _, n := range s.nets {
		for _, p := range n.Params.All() {
			m.Weights += sizeOf(p.Value)
		}
		for _, g := range n.sums {
			m.Gradients += sizeOf(g)
		}
		for _, o := range n.Optim.State().Moments {
			m.Moments += sizeOf(o.M) + sizeOf(o.V)
		}
	}
	return m
}

func sizeOf(t *tensor.Dense) int { return t.Shape().TotalSize() * int(t.Dtype().Size()) }
