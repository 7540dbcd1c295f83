package traintest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model"
)

// Damage harms a checkpoint of the stage in many ways, one at a time: bits are flipped and files are cut off, at random places, and of
// each file once a page is zeroed and once the whole is missing. A run that resumes must name the file in an error that wraps
// model.ErrDamaged, or end in the result of a run that was never stopped.
func Damage(t *testing.T, s Stage, flips, cuts int) {
	weights, report, _ := straight(t, s)
	s.damage(t, weights, report, flips, cuts)
}

func (s Stage) damage(t *testing.T, weights []float32, report any, flips, cuts int) {
	whole := filepath.Join(t.TempDir(), "run")
	s.interrupt(t, whole, every, "stopped")
	refused, same := 0, 0
	EachDamage(t, whole, flips, cuts, func(dir, name, what string) {
		got, again, err := s.Train(t.Context(), Run{Checkpointing: checkpointing(dir)})
		if err == nil {
			same++
			assert.Equal(t, weights, got, "%s of %s", what, name)
			assert.Equal(t, report, again, "%s of %s", what, name)
			return
		}
		refused++
		assert.ErrorIs(t, err, model.ErrDamaged, "%s of %s", what, name)
		assert.ErrorContains(t, err, filepath.Base(name), what)
	})
	t.Logf("%d damaged checkpoints: %d refused, %d without effect", refused+same, refused, same)
}

// EachDamage calls try with copies of a folder, each of which has one kind of damage in one file. The same flips and cuts every time.
func EachDamage(t *testing.T, whole string, flips, cuts int, try func(dir, name, what string)) {
	t.Helper()
	names := fileNames(t, whole)
	rng := rand.New(rand.NewPCG(14, 1))
	harm := func(name, what string, change func(path string, raw []byte) error) {
		dir := filepath.Join(t.TempDir(), "run")
		require.NoError(t, os.CopyFS(dir, os.DirFS(whole)))
		path := filepath.Join(dir, name)
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, change(path, raw))
		try(dir, name, what)
		require.NoError(t, os.RemoveAll(dir))
	}
	for i := range flips + cuts {
		name := names[i%len(names)] // small files as often as large ones
		harm(name, fmt.Sprintf("damage %d", i), func(path string, raw []byte) error {
			if at := rng.IntN(max(1, len(raw))); i >= flips {
				raw = raw[:min(at, len(raw))]
			} else if len(raw) > 0 {
				raw[at] ^= 1 << rng.IntN(8)
			}
			return os.WriteFile(path, raw, 0o644)
		})
	}
	for _, name := range names {
		harm(name, "a zeroed page", func(path string, raw []byte) error {
			from := len(raw) / 2 &^ 4095
			clear(raw[from:min(from+4096, len(raw))])
			return os.WriteFile(path, raw, 0o644)
		})
		harm(name, "the loss", func(path string, _ []byte) error { return os.Remove(path) })
	}
}

// fileNames are the paths of all files below a folder.
func fileNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	for path := range files(t, dir) {
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
