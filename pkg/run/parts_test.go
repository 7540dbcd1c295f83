package run

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// ranges answers items by their number, and notes what it was asked for.
type ranges struct {
	asked []string
	fails int // the item at which it fails, if it is computed; -1 for none
}

func (r *ranges) text(lo, hi int) ([]data.Text, error) {
	r.asked = append(r.asked, fmt.Sprint(lo, "-", hi))
	var rows []data.Text
	for i := lo; i < hi; i++ {
		if i == r.fails {
			return nil, errors.New("stopped")
		}
		rows = append(rows, data.Text{Text: fmt.Sprint("item ", i)})
	}
	return rows, nil
}

func (r *ranges) number(lo, hi int) ([]float64, error) {
	rows, err := r.text(lo, hi)
	numbers := make([]float64, len(rows))
	for i := range numbers {
		numbers[i] = math.Pi * float64(lo+i)
	}
	return numbers, err
}

var lineage = data.Lineage{Stage: "reject", Config: []byte(`{"samples":2}`), Seed: 3}

// A run that stopped in the middle computes what is missing, and nothing twice.
func TestPartsAreComputedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "parts")
	p, err := OpenParts(dir, lineage)
	require.NoError(t, err)
	r := &ranges{fails: 5}
	var done []int
	onPart := func(n int) { done = append(done, n) }
	_, err = Rows(p, 7, 2, r.text, onPart)
	require.EqualError(t, err, "stopped")
	assert.Equal(t, []string{"0-2", "2-4", "4-6"}, r.asked)
	assert.Equal(t, []int{2, 4}, done)
	assert.Equal(t, 4, p.Stored(7, 2))

	r, done = &ranges{fails: -1}, nil
	p, err = OpenParts(dir, lineage)
	require.NoError(t, err)
	rows, err := Rows(p, 7, 2, r.text, onPart)
	require.NoError(t, err)
	assert.Equal(t, []string{"4-6", "6-7"}, r.asked)
	assert.Equal(t, []int{2, 4, 6, 7}, done)
	require.Len(t, rows, 7)
	for i, row := range rows {
		assert.Equal(t, fmt.Sprint("item ", i), row.Text)
	}
	assert.Equal(t, 7, p.Stored(7, 2))

	// Parts of 2 are not taken for parts of 3, which would hold other items.
	r = &ranges{fails: -1}
	again, err := Rows(p, 7, 3, r.text, nil)
	require.NoError(t, err)
	assert.Equal(t, rows, again)
	assert.Equal(t, []string{"0-3", "3-6"}, r.asked, "the last one has the same items")
	_, err = Rows(p, 7, 0, r.text, nil)
	assert.ErrorContains(t, err, "parts of 0 items")
}

// Values come back with the same bits.
func TestValuesAreComputedOnce(t *testing.T) {
	p, err := OpenParts(t.TempDir(), lineage)
	require.NoError(t, err)
	r := &ranges{fails: -1}
	for range 2 {
		numbers, err := Values(p, 3, 2, r.number, nil)
		require.NoError(t, err)
		assert.Equal(t, []float64{0, math.Pi, 2 * math.Pi}, numbers)
		one, err := Value(p, "chosen", func() (float64, error) { r.asked = append(r.asked, "chosen"); return 0.1, nil })
		require.NoError(t, err)
		assert.Equal(t, 0.1, one)
	}
	assert.Equal(t, []string{"0-2", "2-3", "chosen"}, r.asked)

	_, err = Value(p, "fails", func() (int, error) { return 1, errors.New("no") })
	assert.EqualError(t, err, "no")
	_, err = Value(p, "fails", func() (int, error) { return 2, nil })
	assert.NoError(t, err, "an error is not stored")

	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "bad.json"), []byte("{"), 0o600))
	_, err = Value(p, "bad", func() (int, error) { return 2, nil })
	assert.ErrorContains(t, err, "bad.json", "a damaged file is not replaced in silence")
}

func TestPartsOfAnotherRunAreRefused(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenParts(dir, lineage)
	require.NoError(t, err)
	other := lineage
	other.Config = []byte(`{"samples":4}`)
	_, err = OpenParts(dir, other)
	assert.ErrorIs(t, err, ErrOtherRun)
	assert.ErrorContains(t, err, dir+" belongs to another run (config field samples was 2 and is 4)")
}
