package run

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/checksum"
)

// Parts with other bytes than were written are refused by name, whatever was changed.
func TestDamagedParts(t *testing.T) {
	work := func(dir string, r *ranges) error {
		p, err := OpenParts(dir, lineage)
		if err != nil {
			return err
		}
		_, err = Value(p, "chosen", func() (float64, error) { return 0.5, nil })
		_, rowsErr := Rows(p, 4, 2, r.text, nil)
		return errors.Join(err, rowsErr)
	}
	whole := filepath.Join(t.TempDir(), "parts")
	require.NoError(t, work(whole, &ranges{fails: -1}))
	entries, err := os.ReadDir(whole)
	require.NoError(t, err)
	require.Len(t, entries, 5, "two parts, a value, the lineage, the sums")
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(whole, e.Name()))
		require.NoError(t, err)
		for i := range 8 {
			for what, damaged := range map[string][]byte{"flipped": append([]byte{}, raw...), "cut": raw[:i*len(raw)/8]} {
				if what == "flipped" {
					damaged[i*len(raw)/8] ^= 1 << i
				}
				dir := filepath.Join(t.TempDir(), "parts")
				require.NoError(t, os.CopyFS(dir, os.DirFS(whole)))
				require.NoError(t, os.WriteFile(filepath.Join(dir, e.Name()), damaged, 0o644))
				err := work(dir, &ranges{fails: -1})
				assert.ErrorIs(t, err, checksum.ErrDamaged, "%s %d of %s", what, i, e.Name())
				assert.ErrorContains(t, err, e.Name())
			}
		}
	}

	// A part that is lost is computed again; a lineage that is lost leaves parts of nobody.
	r := &ranges{fails: -1}
	require.NoError(t, os.Remove(filepath.Join(whole, "part-000002-000004.arrow")))
	require.NoError(t, work(whole, r))
	assert.Equal(t, []string{"2-4"}, r.asked)
	require.NoError(t, os.Remove(filepath.Join(whole, "lineage.json")))
	assert.ErrorContains(t, work(whole, r), "lineage.json is missing")
	old := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(old, "lineage.json"), []byte(`{"stage":"reject"}`), 0o644))
	assert.ErrorContains(t, work(old, r), "an older version of tame wrote it")
}
