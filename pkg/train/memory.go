package train

import (
	"fmt"

	"gorgonia.org/tensor"
)

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
	// Evaluation is that of evaluations while training, and of the best weights. A Step has none.
	Evaluation int
	// Others are further models and what they work in, such as the reference of PPO. A Step has none.
	Others int
}

// Total is the sum of all.
func (m Memory) Total() int {
	return m.Weights + m.Gradients + m.Moments + m.Intermediates + m.Evaluation + m.Others
}

// String is the total, and its parts.
func (m Memory) String() string {
	s := fmt.Sprintf("%s (weights %s, gradients %s, moments %s, intermediates of a micro-batch %s",
		bytesText(m.Total()), bytesText(m.Weights), bytesText(m.Gradients), bytesText(m.Moments), bytesText(m.Intermediates))
	if m.Evaluation > 0 {
		s += ", evaluation " + bytesText(m.Evaluation)
	}
	if m.Others > 0 {
		s += ", further models " + bytesText(m.Others)
	}
	return s + ")"
}

func bytesText(n int) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// MemoryError says that a run takes more memory than it may.
type MemoryError struct {
	Memory Memory
	Max    int // bytes
}

// Error implements error.
func (e *MemoryError) Error() string {
	return fmt.Sprintf("train: the run needs %v of memory, and %s are available: lower MicroTokens, set Recompute, freeze weights (Frozen), or take a smaller model",
		e.Memory, bytesText(e.Max))
}

// Check refuses more memory than there is. max 0 is unknown.
func (m Memory) Check(max int) error {
	if max > 0 && m.Total() > max {
		return &MemoryError{Memory: m, Max: max}
	}
	return nil
}

// Memory says what the step works in. Kernels have scratch memory beside that, a few megabytes for each thread.
func (s *Step) Memory() Memory {
	m := s.memoryOfWeights()
	m.Intermediates = s.program.ArenaBytes()
	return m
}

// memoryOfWeights is the memory of weights, gradients and moments.
func (s *Step) memoryOfWeights() (m Memory) {
	for _, n := range s.nets {
		for _, p := range n.Params.All() {
			m.Weights += sizeOf(p.Value)
		}
		for _, p := range n.params {
			m.Gradients += sizeOf(p.Value)
			m.Moments += 2 * sizeOf(p.Value)
		}
	}
	return m
}

// NumWeights counts the weights of all networks, and those that are trained.
func (s *Step) NumWeights() (all, trained int) {
	for _, n := range s.nets {
		all += int(n.Params.NumParams())
		for _, p := range n.params {
			trained += p.Value.Shape().TotalSize()
		}
	}
	return all, trained
}

func sizeOf(t *tensor.Dense) int { return t.Shape().TotalSize() * int(t.Dtype().Size()) }
