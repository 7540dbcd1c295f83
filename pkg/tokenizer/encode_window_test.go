package tokenizer

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unbroken is a text without spaces over few characters, so that merges reach far.
func unbroken(rng *rand.Rand, alphabet []string, n int) string {
	var b strings.Builder
	for range n {
		if rng.IntN(20) == 0 {
			b.WriteString(strings.Repeat(alphabet[rng.IntN(len(alphabet))], rng.IntN(60)))
		}
		b.WriteString(alphabet[rng.IntN(len(alphabet))])
	}
	return b.String()
}

// The ids of a text in small windows, most of whose joints are wrong at first, are those of the text as a whole.
func TestWindowsAreTheWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	alphabet := []string{"A", "C", "G", "T", "é", "\xff", "漢"}
	var texts []string
	for range 60 {
		texts = append(texts, unbroken(rng, alphabet[:5], 60))
	}
	cfg := DefaultTrainConfig()
	cfg.VocabSize, cfg.UserDefined, cfg.SplitByScript = 420, []string{"GATT", "GA", "ACG漢"}, false
	withBytes, err := Train(context.Background(), slices.Values(texts), cfg)
	require.NoError(t, err)
	cfg.ByteFallback = false
	without, err := Train(context.Background(), slices.Values(texts), cfg)
	require.NoError(t, err)
	for _, tok := range []*Tokenizer{withBytes, without, throughHugging(t, withBytes)} {
		for _, window := range []int{7, 30, 200} {
			windows := &merger{t: tok, window: window, overlap: 2 + tok.user.longest}
			whole := &merger{t: tok, window: 1 << 30}
			for range 150 {
				text := unbroken(rng, alphabet, rng.IntN(400))
				windows.ids, whole.ids = windows.ids[:0], whole.ids[:0]
				windows.prevUnk, whole.prevUnk = false, false
				windows.encode(text)
				whole.encode(text)
				require.Equal(t, whole.ids, windows.ids, "%q in windows of %d", text, window)
			}
		}
	}
}

// throughHugging is a tokenizer written as tokenizer.json and read again.
func throughHugging(t *testing.T, tok *Tokenizer) *Tokenizer {
	dir := t.TempDir()
	require.NoError(t, tok.SaveHuggingFace(dir))
	read, err := Load(dir)
	require.NoError(t, err)
	return read
}

// A text of 1 MiB without a break takes less than 20 bytes of memory a byte, its ids included.
func TestUnbrokenTextTakesLittleMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	dna := []string{"A", "C", "G", "T"}
	cfg := DefaultTrainConfig()
	cfg.VocabSize = 400
	tok, err := Train(context.Background(), slices.Values([]string{unbroken(rng, dna, 3000)}), cfg)
	require.NoError(t, err)
	text := unbroken(rng, dna, 1<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ids := tok.Encode(text)
	runtime.ReadMemStats(&after)
	require.Less(t, float64(after.TotalAlloc-before.TotalAlloc), 20.0*float64(len(text)))
	require.Greater(t, len(text), len(ids))
}
