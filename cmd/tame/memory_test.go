package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Llama 2 7B has 6,738,415,616 weights (its checkpoint's count); a float32 and three more of its size are 100.4 GiB.
func TestCheckMemory(t *testing.T) {
	shape := pretrainStage().defaults().Shape
	shape.VocabSize = 32000
	const gib = 1 << 30
	err := checkMemory(shape, 24*gib)
	assert.ErrorContains(t, err, "6738415616 weights take 100.4 GiB")
	assert.ErrorContains(t, err, "this machine has 24.0")
	assert.NoError(t, checkMemory(shape, 101*gib))
	assert.NoError(t, checkMemory(shape, 0))
	assert.NotZero(t, machineMemory())
}
