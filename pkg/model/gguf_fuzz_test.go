package model

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/pth"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// smallest is a shape whose files are short.
func smallest() Config {
	return Config{Dim: 4, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 2, HiddenDim: 3, VocabSize: 20, MaxSeqLen: 8, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2}
}

// No file makes the readers of a model and of its vocabulary panic; a model that is read is whole.
func FuzzGGUFModel(f *testing.F) {
	vocab, _ := toyVocab(f, 20, tokenizer.DefaultParts())
	for _, dtype := range []string{F32, F16, Q8_0} {
		var buf bytes.Buffer
		require.NoError(f, WriteGGUF(&buf, withoutHead(smallest(), 1), dtype, vocab))
		f.Add(buf.Bytes())
	}
	path := filepath.Join(f.TempDir(), "m.gguf")
	f.Fuzz(func(t *testing.T, raw []byte) {
		require.NoError(t, os.WriteFile(path, raw, 0o600))
		if p, err := loadGGUF(path); err == nil {
			require.NoError(t, p.validate())
			require.LessOrEqual(t, p.NumParams(), int64(len(raw)))
		}
		_, _ = tokenizer.LoadGGUF(path)
	})
}

// Whatever params.json says, what the reader takes fits the tensors.
func FuzzMetaParams(f *testing.F) {
	p := withoutHead(smallest(), 1)
	dir := filepath.Join(f.TempDir(), "m")
	require.NoError(f, SaveMeta(dir, p, F32, nil))
	raw, err := os.ReadFile(filepath.Join(dir, metaParams))
	require.NoError(f, err)
	f.Add(raw, uint8(1))
	f.Add([]byte(`{"dim": 4, "n_layers": 1, "n_heads": 2, "vocab_size": -1, "ffn_dim_multiplier": 1e300, "multiple_of": 256}`), uint8(2))
	file, err := pth.Open(filepath.Join(dir, metaFirst))
	require.NoError(f, err)
	f.Cleanup(func() { _ = file.Close() })
	f.Fuzz(func(t *testing.T, raw []byte, n uint8) {
		m := make(metaShards, n%9+1)
		for i := range m {
			m[i] = file
		}
		cfg, err := m.config(raw)
		if err != nil {
			return
		}
		wanted := pairedTensors(cfg)
		if m.check(wanted) == nil {
			got := NewParams(cfg, tensor.Float32)
			for _, w := range wanted {
				require.NoError(t, m.read(w, got))
			}
		}
	})
}
