package data_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
			require.Equal(t, want, data.HeldOut(question, 0.25, seed))
			if want {
				held++
			}
		}
	}
	assert.Greater(t, held, 1000)
}

func TestSplitRefuses(t *testing.T) {
	for _, fraction := range []float64{-0.1, 1.1} {
		_, _, err := data.Split[data.Text](nil, fraction, 1)
		assert.ErrorContains(t, err, "want 0 to 1")
	}
}
