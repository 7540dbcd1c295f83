package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func words(texts ...string) [][]string {
	list := make([][]string, len(texts))
	for i, t := range texts {
		list[i] = strings.Fields(t)
	}
	return list
}

// plainBLEU is the definition, word for word, with n-grams as text.
func plainBLEU(hypothesis []string, references [][]string, n int) float64 {
	count := func(text []string, gram string, k int) (c int) {
		for i := 0; i+k <= len(text); i++ {
			if strings.Join(text[i:i+k], " ") == gram {
				c++
			}
		}
		return c
	}
	product, orders := 1.0, min(n, len(hypothesis))
	for k := 1; k <= orders; k++ {
		clipped, total, seen := 0.0, 0.0, map[string]bool{}
		for i := 0; i+k <= len(hypothesis); i++ {
			total++
			gram := strings.Join(hypothesis[i:i+k], " ")
			if seen[gram] {
				continue
			}
			seen[gram] = true
			most := 0
			for _, r := range references {
				most = max(most, count(r, gram, k))
			}
			clipped += float64(min(most, count(hypothesis, gram, k)))
		}
		if clipped == 0 && k == 1 {
			return 0
		}
		if clipped == 0 {
			clipped = 0.1
		}
		product *= clipped / total
	}
	c, r := float64(len(hypothesis)), math.Inf(1)
	for _, ref := range references {
		if l := float64(len(ref)); math.Abs(l-c) < math.Abs(r-c) || math.Abs(l-c) == math.Abs(r-c) && l < r {
			r = l
		}
	}
	return min(1, math.Exp(1-r/c)) * math.Pow(product, 1/float64(orders))
}

func TestSelfBLEUAgainstBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for round := range 200 {
		samples := make([][]string, 2+rng.IntN(5))
		for i := range samples {
			samples[i] = make([]string, 1+rng.IntN(12))
			for k := range samples[i] {
				samples[i][k] = fmt.Sprint(rng.IntN(2 + round%7))
			}
		}
		for n := 1; n <= 4; n++ {
			got, err := SelfBLEU(samples, n)
			require.NoError(t, err)
			for i := range samples {
				var others [][]string
				for j, s := range samples {
					if j != i {
						others = append(others, s)
					}
				}
				assert.InDelta(t, plainBLEU(samples[i], others, n), got[i], 1e-12, "%v", samples)
			}
		}
	}
}

// Values of sacrebleu 2.6.0 (tokenize none, smoothing floor 0.1, effective order), which is 100 times BLEU. NLTK 3.10.4 with method 1
// gives the same.
func TestSelfBLEUAgainstSacrebleu(t *testing.T) {
	got, err := SelfBLEU(words(
		"the cat sat on the mat .", "the cat is on the mat .", "a dog sat by the door .", "the the the cat .", "no word is here",
	), 4)
	require.NoError(t, err)
	for i, want := range sacrebleu {
		assert.InDelta(t, want, 100*got[i], 1e-9)
	}
}

var sacrebleu = []float64{50.81327481546149, 50.81327481546149, 4.347208719449914, 13.51200154807034, 6.257106818159156}

func TestSelfBLEUAtTheEnds(t *testing.T) {
	for _, c := range []struct {
		samples [][]string
		want    []float64
	}{
		{words("a b", "a b", "a b"), []float64{1, 1, 1}},
		{words("a b c d e", "f g h i j"), []float64{0, 0}},
		{words("a", "a b"), []float64{math.Exp(-1), math.Sqrt(0.5 * 0.1)}}, // half the length; one token of two, no pair
		{words("", "a"), []float64{0, 0}},
		{words("", "", "a"), []float64{1, 1, 0}},
	} {
		got, err := SelfBLEU(c.samples, 4)
		require.NoError(t, err)
		assert.InDeltaSlice(t, c.want, got, 1e-12, "%q", c.samples)
	}
	ids, err := SelfBLEU([][]int32{{5, 6, 7, 8, 9}, {5, 6, 7, 8, 2}}, 2)
	require.NoError(t, err)
	assert.InDelta(t, math.Sqrt(4.0/5*3/4), ids[0], 1e-12)

	_, err = SelfBLEU(words("a", "b"), 5)
	assert.ErrorContains(t, err, "n is 5")
	_, err = SelfBLEU(words("a"), 4)
	assert.ErrorContains(t, err, "1 samples")
}

func BenchmarkSelfBLEU(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	samples := make([][]int32, 25) // as in the paper
	for i := range samples {
		samples[i] = make([]int32, 256)
		for k := range samples[i] {
			samples[i][k] = rng.Int32N(1000)
		}
	}
	for b.Loop() {
		if _, err := SelfBLEU(samples, 4); err != nil {
			b.Fatal(err)
		}
	}
}
