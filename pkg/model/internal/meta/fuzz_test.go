package meta

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/pth"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// Whatever params.json says, what the reader takes fits the tensors.
func FuzzMetaParams(f *testing.F) {
	c := arch.Config{
		Dim: 4, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 2, HiddenDim: 3, VocabSize: 20, MaxSeqLen: 8,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	zeros := func(string) []float32 { return make([]float32, 100) }
	dir := f.TempDir()
	require.NoError(f, Write(dir, c, file.Tensors(arch.Llama(), c, arch.Meta), zeros, file.F32))
	raw, err := os.ReadFile(filepath.Join(dir, ParamsFile))
	require.NoError(f, err)
	f.Add(raw, uint8(1))
	f.Add([]byte(`{"dim": 4, "n_layers": 1, "n_heads": 2, "vocab_size": -1, "ffn_dim_multiplier": 1e300, "multiple_of": 256}`), uint8(2))
	first, err := pth.Open(filepath.Join(dir, FirstFile))
	require.NoError(f, err)
	f.Cleanup(func() { _ = first.Close() })
	f.Fuzz(func(t *testing.T, raw []byte, n uint8) {
		m := make(shards, n%9+1)
		for i := range m {
			m[i] = first
		}
		cfg, err := decodeConfig(raw, m.seen)
		if err != nil {
			return
		}
		wanted := file.Tensors(arch.Llama(), cfg, arch.Meta)
		if m.check(wanted) == nil {
			for _, w := range wanted {
				rows, cols := w.Size()
				weight := make([]float32, (w.First+rows)*cols)
				require.NoError(t, m.read(w, w.Rows(weight)))
			}
		}
	})
}
