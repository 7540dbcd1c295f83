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
	try := func(dir, name, what string) {
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
	}
	EachDamage(t, whole, flips, cuts, try)
	EachLoss(t, whole, try)
	t.Logf("%d damaged checkpoints: %d refused, %d without effect", refused+same, refused, same)
}

// EachDamage calls try with copies of a folder, each of which has one file with a flipped bit, or cut off. What it harms is drawn at
// random, small files as often as large ones, the same every time.
func EachDamage(t *testing.T, whole string, flips, cuts int, try func(dir, name, what string)) {
	t.Helper()
	names := fileNames(t, whole)
	rng := rand.New(rand.NewPCG(14, 1))
	for i := range flips + cuts {
		harm(t, whole, names[i%len(names)], fmt.Sprintf("damage %d", i), try, func(path string, raw []byte) error {
			if at := rng.IntN(max(1, len(raw))); i >= flips {
				raw = raw[:min(at, len(raw))]
			} else if len(raw) > 0 {
				raw[at] ^= 1 << rng.IntN(8)
			}
			return os.WriteFile(path, raw, 0o644)
		})
	}
}

// EachLoss calls try with copies of a folder: of each file once a page is zeroed, and once the whole is missing.
func EachLoss(t *testing.T, whole string, try func(dir, name, what string)) {
	t.Helper()
	for _, name := range fileNames(t, whole) {
		harm(t, whole, name, "a zeroed page", try, func(path string, raw []byte) error {
			from := len(raw) / 2 &^ 4095
			clear(raw[from:min(from+4096, len(raw))])
			return os.WriteFile(path, raw, 0o644)
		})
		harm(t, whole, name, "the loss", try, func(path string, _ []byte) error { return os.Remove(path) })
	}
}

// harm tries a copy of a folder with a changed file.
func harm(t *testing.T, whole, name, what string, try func(dir, name, what string), change func(path string, raw []byte) error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	require.NoError(t, os.CopyFS(dir, os.DirFS(whole)))
	path := filepath.Join(dir, name)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, change(path, raw))
	try(dir, name, what)
	require.NoError(t, os.RemoveAll(dir))
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
