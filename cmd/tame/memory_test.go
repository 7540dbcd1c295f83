package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/internal/memory"
)

// Llama 2 7B has 6,738,415,616 weights (its checkpoint's count); a float32 and three more of its size are 100.4 GiB.
func TestCheckMemory(t *testing.T) {
	shape := pretrainStage().defaults().Shape
	shape.VocabSize = 32000
	const gib = 1 << 30
	err := checkMemory(shape, memory.Limit{Bytes: 24 * gib, Of: "this machine"})
	assert.ErrorContains(t, err, "6738415616 weights take 100.4 GiB")
	assert.ErrorContains(t, err, "this machine has 24.0")
	assert.NoError(t, checkMemory(shape, memory.Limit{Bytes: 101 * gib}))
	assert.NoError(t, checkMemory(shape, memory.Limit{}))
}
