package main

import (
	"fmt"

	"github.com/tame-rlhf/tame/internal/memory"
	"github.com/tame-rlhf/tame/pkg/model"
)

// trainingBytes are what a weight takes in training, beside what a step computes: itself, its gradient and AdamW's two moments, in float32.
const trainingBytes = 16

// checkMemory refuses a model that cannot be trained with so much memory before anything of its size is allocated.
func checkMemory(c model.Config, limit memory.Limit) error {
	need := int(c.NumParams()) * trainingBytes
	if limit.Bytes == 0 || need <= limit.Bytes {
		return nil
	}
	const gib = 1 << 30
	return fmt.Errorf("shape: %d weights take %.1f GiB in training (weights, gradients and two moments), and %s has %.1f: set a smaller shape (shape.dim, shape.num_layers, shape.hidden_dim)",
		c.NumParams(), float64(need)/gib, limit.Of, float64(limit.Bytes)/gib)
}
