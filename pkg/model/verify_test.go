package model_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
)

// Of the weights of a folder any flipped bit is found, and a zeroed page.
func TestVerify(t *testing.T) {
	p := model.NewParams(model.Config{VocabSize: 16, Dim: 8, HiddenDim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 4,
		NormEps: 1e-5, RopeTheta: 1e4, MaxSeqLen: 16, BOS: 1, EOS: 2}, tensor.Float32)
	for name, save := range map[string]func(dir string) error{
		"model.safetensors": func(dir string) error { return model.Save(dir, p, nil) },
		"consolidated.00.pth": func(dir string) error {
			return model.SaveMeta(dir, p, model.F32, func(tmp string) error { return os.WriteFile(filepath.Join(tmp, "notes"), []byte("x"), 0o644) })
		},
	} {
		dir := filepath.Join(t.TempDir(), "m")
		require.NoError(t, save(dir))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), nil, 0o644))
		files, others, err := model.Verify(t.Context(), dir)
		require.NoError(t, err)
		assert.Contains(t, files, name)
		assert.Equal(t, []string{"README.md"}, others)

		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		zeroed := append([]byte{}, whole...)
		zeroed[len(whole)/2] ^= 1
		require.NoError(t, os.WriteFile(path, zeroed, 0o644))
		_, _, err = model.Verify(t.Context(), dir)
		assert.ErrorIs(t, err, model.ErrDamaged)
		assert.ErrorContains(t, err, name+" has other bytes")
	}
	_, _, err := model.Verify(t.Context(), t.TempDir())
	assert.ErrorIs(t, err, fs.ErrNotExist)
}
