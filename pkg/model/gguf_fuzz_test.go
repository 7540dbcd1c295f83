package model

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

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
		raw, err := os.ReadFile(saveGGUF(f, withoutHead(smallest(), 1), dtype, vocab))
		require.NoError(f, err)
		f.Add(raw)
	}
	path := filepath.Join(f.TempDir(), "m.gguf")
	f.Fuzz(func(t *testing.T, raw []byte) {
		require.NoError(t, os.WriteFile(path, raw, 0o600))
		if p, err := Load(path); err == nil {
			require.NoError(t, p.validate())
			require.LessOrEqual(t, p.NumParams(), int64(len(raw)))
		}
		_, _ = tokenizer.LoadGGUF(path)
	})
}

// The same for a llama2.c file.
func FuzzLlama2CModel(f *testing.F) {
	path := filepath.Join(f.TempDir(), "m.bin")
	c := smallest()
	for _, c.TieEmbeddings = range []bool{false, true} {
		p := NewParams(c, tensor.Float32)
		require.NoError(f, SaveLlama2C(path, p))
		raw, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		require.NoError(t, os.WriteFile(path, raw, 0o600))
		if p, err := Load(path); err == nil {
			require.NoError(t, p.validate())
			require.LessOrEqual(t, 4*p.NumParams(), int64(len(raw)))
		}
	})
}
