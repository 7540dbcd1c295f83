package curate_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
)

// runs is the set of runs of n words of a text.
func runs(text string, n int) map[string]bool {
	words, set := strings.Fields(text), map[string]bool{}
	for i := 0; i == 0 || i+n <= len(words); i++ {
		set[strings.Join(words[i:min(i+n, len(words))], " ")] = true
	}
	return set
}

// jaccard is the similarity of two sets as it is defined.
func jaccard(x, y map[string]bool) float64 {
	both := 0
	for run := range x {
		if y[run] {
			both++
		}
	}
	return float64(both) / float64(len(x)+len(y)-both)
}

func randomText(rng *rand.Rand, words int) []string {
	text := make([]string, words)
	for i := range text {
		text[i] = fmt.Sprint("w", rng.IntN(500))
	}
	return text
}

// Against the similarity of all pairs: what is far above the threshold is dropped, what is far below it stays. Near it the
// estimate decides; four standard errors are far.
func TestNearDedupIsJaccardUpToTheEstimate(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var rows []string
	for i := range 400 {
		text := randomText(rng, 20+rng.IntN(100))
		if i > 0 && rng.IntN(2) == 0 { // a row before with some words changed
			text = strings.Fields(rows[rng.IntN(len(rows))])
			for range rng.IntN(1 + len(text)/20) {
				text[rng.IntN(len(text))] = "changed"
			}
		}
		rows = append(rows, strings.Join(text, " "))
	}
	const far = 4 * 0.04
	for _, threshold := range []float64{0.7, 0.8} {
		d := curate.DefaultNearDedup()
		d.Threshold = threshold
		var kept []map[string]bool
		dropped, decided := 0, 0
		for _, row := range rows {
			set, most := runs(row, 5), 0.0
			for _, other := range kept {
				most = max(most, jaccard(set, other))
			}
			seen := d.Seen(data.Text{Text: row})
			if most >= threshold+far || most < threshold-far {
				decided++
				require.Equal(t, most > threshold, seen, "similarity %v", most)
			}
			if seen {
				dropped++
			} else {
				kept = append(kept, set)
			}
		}
		assert.Greater(t, decided, 250)
		assert.Greater(t, dropped, 50)
	}
}

// A threshold of 1 drops what has the very same runs of words.
func TestNearDedupOfOne(t *testing.T) {
	seen := func(d curate.NearDedup, rows ...interface{ Parts() []data.Part }) (got []bool) {
		require.NoError(t, d.Validate())
		for _, row := range rows {
			got = append(got, d.Seen(row))
		}
		return got
	}
	d := curate.NearDedup{Threshold: 1, Words: 3}
	assert.Equal(t, []bool{false, true, false, false, false, true, false, true},
		seen(d, conversation("a b c", "d e"), conversation(" a b\nc", "d  e"), conversation("a b c", "D e"), conversation("a b", "c"),
			conversation("x", "y"), conversation("x", "y"), data.Text{}, data.Text{Text: " "}))
	d.FoldCase = true
	assert.Equal(t, []bool{false, true}, seen(d, conversation("a b c", "d e"), conversation("a b c", "D e")))
	d.Of = curate.PromptOnly
	assert.Equal(t, []bool{false, true, false}, seen(d, conversation("a b c", "d e"), conversation("a b c", "other"), conversation("x", "y")))
	d.Of = curate.AnswerOnly
	assert.Equal(t, []bool{false, false, true}, seen(d, conversation("a b c", "d e"), conversation("a b c", "other"), conversation("x", "d e")))

	bad := curate.NearDedup{Threshold: 0, Words: 0}
	assert.ErrorContains(t, bad.Validate(), "NearDedup.Threshold is 0")
	assert.ErrorContains(t, bad.Validate(), "NearDedup.Words is 0")
	bad.Of = 9
	assert.ErrorContains(t, bad.Validate(), "NearDedup.Of: unknown extent 9")
}

// Bands of 6 hashes lose a pair of similarity 92 of 108 with a probability of (1-0.852^6)^20, one of 15,000; bands of 12 would lose one
// of 23.
func TestNearDedupFindsPairs(t *testing.T) {
	d := curate.NearDedup{Threshold: 0.6, Words: 1}
	for pair := range 400 {
		row := func(other string) data.Text {
			var words []string
			for i := range 100 {
				of := ""
				if i >= 92 {
					of = other
				}
				words = append(words, fmt.Sprint("w", pair, "x", i, of))
			}
			return data.Text{Text: strings.Join(words, " ")}
		}
		require.False(t, d.Seen(row("a")))
		require.True(t, d.Seen(row("b")), "pair %d", pair)
	}
}

// A run of words is a sequence, and the last run of a row counts as the others do.
func TestNearDedupRuns(t *testing.T) {
	d := curate.NearDedup{Threshold: 1, Words: 3}
	var got []bool
	for _, text := range []string{"a b c", "c b a", "a c b", "a b c d", "a b c e", "a b c d"} {
		got = append(got, d.Seen(data.Text{Text: text}))
	}
	assert.Equal(t, []bool{false, false, false, false, false, true}, got)
	assert.Equal(t, curate.NearDedup{Threshold: 0.8, Words: 5}, curate.DefaultNearDedup(), "docs/data.md")
}

func BenchmarkNearDedup(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var rows []data.Text
	for range 2000 {
		rows = append(rows, data.Text{Text: strings.Join(randomText(rng, 200), " ")})
	}
	for b.Loop() {
		d := curate.DefaultNearDedup()
		for _, row := range rows {
			d.Seen(row)
		}
	}
	b.ReportMetric(float64(len(rows)*b.N)/b.Elapsed().Seconds(), "rows/s")
}
