package train_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// A checkpoint of 8.5 million weights with their moments, 102 MB.
func BenchmarkCheckpoint(b *testing.B) {
	p := model.NewParams(model.Config{Dim: 256, NumLayers: 4, NumHeads: 4, NumKVHeads: 4, HeadDim: 64, HiddenDim: 704, VocabSize: 10000,
		MaxSeqLen: 64, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2}, tensor.Float32)
	c := &train.Checkpoint{Params: p, Optim: map[string]optim.State{}}
	var moments []optim.Moment
	for _, w := range p.All() {
		moments = append(moments, optim.Moment{Name: w.Name, M: w.Value, V: w.Value})
	}
	c.Optim["model"] = optim.State{Steps: 1, Moments: moments}
	dir := filepath.Join(b.TempDir(), "run")
	b.Run("save", func(b *testing.B) {
		b.SetBytes(12 * p.NumParams())
		for b.Loop() {
			require.NoError(b, train.SaveCheckpoint(dir, c))
		}
	})
	b.Run("load", func(b *testing.B) {
		b.SetBytes(12 * p.NumParams())
		for b.Loop() {
			_, err := train.LoadCheckpoint(context.Background(), dir)
			require.NoError(b, err)
		}
	})
}
