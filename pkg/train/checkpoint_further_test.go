package train_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/train"
)

// A checkpoint holds weights that no Llama has: Params.Add.
func TestCheckpointKeepsFurtherWeights(t *testing.T) {
	p := tinyParams(tensor.Float32, 1)
	value := tensor.New(tensor.WithShape(1, 3), tensor.WithBacking([]float32{1, 2, 3}))
	require.NoError(t, p.Add("adapter", value, true))
	dir := filepath.Join(t.TempDir(), "checkpoint")
	require.NoError(t, train.SaveCheckpoint(dir, &train.Checkpoint{Params: p}))
	got, err := train.LoadCheckpoint(t.Context(), dir)
	require.NoError(t, err)
	require.Len(t, got.Params.All(), len(p.All()))
	assert.Equal(t, p.Get("adapter"), got.Params.Get("adapter"))
}
