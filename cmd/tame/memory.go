package main

import (
	"fmt"

	"github.com/tame-rlhf/tame/pkg/model"
)

// trainingBytes are what a weight takes in training, beside what a step computes: itself, its gradient and AdamW's two moments, in float32.
const trainingBytes = 16

// checkMemory refuses a model that the machine can not train before anything of its size is allocated. memory 0 is unknown.
func checkMemory(c model.Config, memory uint64) error {
	need := uint64(c.NumParams()) * trainingBytes
	if memory == 0 || need <= memory {
		return nil
	}
	const gib = 1 << 30
	return fmt.Errorf("shape: %d weights take %.1f GiB in training (weights, gradients and two moments), and this machine has %.1f: set a smaller shape (shape.dim, shape.num_layers, shape.hidden_dim)",
		c.NumParams(), float64(need)/gib, float64(memory)/gib)
}
