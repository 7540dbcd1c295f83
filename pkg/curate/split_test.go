package curate_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
)

// The side is that of the hash of the seed and of the words with single spaces between: held-out sets made long ago stay what
// they are.
func TestHeldOutIsTheHashOfTheWords(t *testing.T) {
	held := 0
	for i := range 3000 {
		question := strings.Repeat(" ", i%3) + strings.Repeat(fmt.Sprint("wörd\n", i, " "), i%4)
		for _, seed := range []uint64{0, 1 << 63, 12345} {
			text := strings.Join(strings.Fields(question), " ")
			h := sha256.Sum256(append(binary.LittleEndian.AppendUint64(nil, seed), text...))
			want := float64(binary.LittleEndian.Uint64(h[:])>>11)/(1<<53) < 0.25
			require.Equal(t, want, curate.HeldOut(question, 0.25, seed))
			if want {
				held++
			}
		}
	}
	assert.Greater(t, held, 1000)
}

func TestSplitRefuses(t *testing.T) {
	for _, fraction := range []float64{-0.1, 1.1} {
		_, _, err := curate.Split[data.Text](nil, fraction, 1)
		assert.ErrorContains(t, err, "want 0 to 1")
	}
}

func TestSplit(t *testing.T) {
	rows := make([]data.Preference, 0, 4000)
	for i := range 2000 { // two pairs a prompt, one of them in a longer dialogue
		question := fmt.Sprint("question ", i)
		rows = append(rows, data.Preference{Messages: dialog(question)},
			data.Preference{Messages: withSystem("Be kind.", dialog(strings.ReplaceAll(" "+question, "n ", "n\n\n"), "a", "b"))})
	}
	train, heldOut, err := curate.Split(rows, 0.1, 3)
	require.NoError(t, err)
	assert.Len(t, rows, len(train)+len(heldOut))
	assert.InDelta(t, 400, len(heldOut), 2*3*13.5, "three standard deviations of 2000 draws at 0.1, two rows each")
	words := func(p data.Preference) string { return strings.Join(strings.Fields(p.Question()), " ") }
	side := map[string]bool{}
	for _, p := range train {
		side[words(p)] = true
	}
	for _, p := range heldOut {
		assert.False(t, side[words(p)], "on both sides")
	}

	// The side does not depend on the other rows, and does depend on the seed.
	_, again, err := curate.Split(rows[1000:1500], 0.1, 3)
	require.NoError(t, err)
	for _, p := range again {
		assert.Contains(t, heldOut, p)
	}
	_, other, err := curate.Split(rows, 0.1, 4)
	require.NoError(t, err)
	assert.NotEqual(t, heldOut, other)

	all, none, err := curate.Split(rows, 0, 3)
	require.NoError(t, err)
	assert.Equal(t, []int{len(rows), 0}, []int{len(all), len(none)})
	none, all, err = curate.Split(rows, 1, 3)
	require.NoError(t, err)
	assert.Equal(t, []int{len(rows), 0}, []int{len(all), len(none)})
	_, _, err = curate.Split(rows, 1.5, 3)
	assert.Error(t, err)
}
