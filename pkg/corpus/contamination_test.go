package corpus

import (
	"fmt"
	"index/suffixarray"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func tokens(rng *rand.Rand, n, alphabet int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(alphabet))
	}
	return ids
}

func TestSuffixArrayIsSorted(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		text := tokens(rng, n, 1+n%5)
		if n%3 == 0 {
			for i := range text {
				text[i] = (text[i] - 2) * 1e9
			}
		}
		want := make([]int32, n)
		for i := range want {
			want[i] = int32(i)
		}
		sort.Slice(want, func(a, b int) bool { return slices.Compare(text[want[a]:], text[want[b]:]) < 0 })
		assert.Equal(t, want, suffixArray(text))
	}
}

// longestMatches tries every span between a sample and a document: of each of the sample's tokens the length of the
// longest match in which it is equal.
func longestMatches(sample, document []int32, cfg ContaminationConfig) []int {
	longest := make([]int, len(sample))
	for i := range sample {
		for j := range document {
			for length := cfg.MinLength; i+length <= len(sample) && j+length <= len(document); length++ {
				differ, bad := 0, false
				for k := range length {
					if sample[i+k] != document[j+k] {
						differ++
						bad = bad || k < cfg.MinLength || k == length-1
					}
				}
				if bad || differ > cfg.Skip {
					continue
				}
				for k := range length {
					if sample[i+k] == document[j+k] {
						longest[i+k] = max(longest[i+k], length)
					}
				}
			}
		}
	}
	return longest
}

func TestContaminationIsThatOfEverySpanTried(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	contaminated := 0
	for round := range 1500 {
		cfg := ContaminationConfig{MinLength: 1 + rng.IntN(4), Skip: rng.IntN(4), Clean: 0.2, Dirty: 0.8}
		alphabet := 1 + rng.IntN(5)
		samples := make([][]int32, rng.IntN(5))
		for i := range samples {
			samples[i] = tokens(rng, rng.IntN(16), alphabet)
		}
		documents := make([][]int32, rng.IntN(4))
		for i := range documents {
			documents[i] = tokens(rng, rng.IntN(20), alphabet)
		}
		if len(samples) > 1 { // the same beginning twice, and a document that is a sample with some changes
			samples[0] = append(slices.Clone(samples[1]), tokens(rng, 3, alphabet)...)
			changed := slices.Clone(samples[0])
			for range rng.IntN(3) {
				changed[rng.IntN(len(changed))] = int32(rng.IntN(alphabet))
			}
			documents = append(documents, changed, samples[0])
		}
		c, err := NewContamination(samples, cfg)
		require.NoError(t, err)
		for _, document := range documents {
			c.Add(document)
		}
		for length := cfg.MinLength - 1; length < 15; length++ {
			shares := c.Shares(length)
			require.Len(t, shares, len(samples))
			for i, sample := range samples {
				longest := make([]int, len(sample))
				for _, document := range documents {
					for k, n := range longestMatches(sample, document, cfg) {
						longest[k] = max(longest[k], n)
					}
				}
				want := 0.0
				for _, n := range longest {
					if n > length {
						want++
					}
				}
				contaminated += int(want)
				require.Equal(t, want/max(1, float64(len(sample))), shares[i], "round %d, %+v, longer than %d: %v in %v", round, cfg, length, sample, documents)
			}
		}
	}
	assert.Greater(t, contaminated, 10000, "the test is about something")
}

// The rules of the paper on one sample of twenty tokens.
func TestContaminationByHand(t *testing.T) {
	sample := make([]int32, 20)
	for i := range sample {
		sample[i] = int32(i)
	}
	with := func(n int, other ...int) []int32 {
		document := slices.Clone(sample[:n])
		for _, i := range other {
			document[i] = 999
		}
		return append([]int32{77}, append(document, 88)...)
	}
	for _, c := range []struct {
		name     string
		document []int32
		want     float64 // contaminated tokens
	}{
		{"10 tokens are not longer than 10", with(10), 0},
		{"11 tokens are", with(11), 11},
		{"all of it", with(20), 20},
		{"a token that differs does not count", with(20, 12), 19},
		{"four may differ", with(20, 12, 13, 15, 17), 16},
		{"not five", with(20, 12, 13, 15, 17, 18), 14}, // 0 to 16 without three
		{"none among the first ten", with(20, 9), 0},
		{"the last must be equal", with(20, 18, 19), 18},
		{"another beginning is found", with(20, 5), 14},
	} {
		cont, err := NewContamination([][]int32{sample}, DefaultContaminationConfig())
		require.NoError(t, err)
		cont.Add(c.document)
		assert.Equal(t, c.want/20, cont.Shares(10)[0], c.name)
	}
}

func TestContaminationLengths(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	sample := tokens(rng, 100, 1e6)
	c, err := NewContamination([][]int32{sample, nil, sample[:60]}, DefaultContaminationConfig())
	require.NoError(t, err)
	c.Add(sample[:15])
	c.Add(sample[30:60])
	c.Add(nil)
	assert.Equal(t, []float64{0.45, 0, 0.75}, c.Shares(10))
	assert.Equal(t, []float64{0.30, 0, 0.5}, c.Shares(20))
	assert.Equal(t, []float64{0, 0, 0}, c.Shares(30))
	assert.Equal(t, 3, c.Samples())
}

func TestContaminationRefuses(t *testing.T) {
	_, err := NewContamination([][]int32{{1}, {2, -1}}, DefaultContaminationConfig())
	assert.ErrorContains(t, err, "sample 1 has the token id -1")
	_, err = NewContamination(nil, ContaminationConfig{MinLength: 0, Skip: -1, Clean: 2, Dirty: math.NaN()})
	for _, field := range []string{"MinLength", "Skip", "Clean", "Dirty"} {
		assert.ErrorContains(t, err, "ContaminationConfig."+field)
	}
	c, err := NewContamination([][]int32{{1, 2}, {math.MaxInt32, 1, math.MaxInt32}}, ContaminationConfig{MinLength: 1, Skip: 1})
	require.NoError(t, err)
	c.Add([]int32{1, 2, -1, math.MaxInt32, -2}) // what stands between the samples is no token of a document
	assert.Equal(t, []float64{1, 0}, c.Shares(1))
	assert.Equal(t, []float64{1, 1}, c.Shares(0))
}

// Means, sizes and shares of HellaSwag in table 51 give its Z: scores are right or wrong.
func TestSubsetsZIsThatOfTable51(t *testing.T) {
	var shares, scores []float64
	add := func(n int, share, mean float64) {
		for i := range n {
			shares = append(shares, share)
			right := 0.0
			if float64(i) < mean*float64(n) {
				right = 1
			}
			scores = append(scores, right)
		}
	}
	// 70B, L = 40: clean and dirty parts, and what is left of the 10042 samples for a mean of 82.5.
	add(7391, 0, 0.800)
	add(848, 0.861, 0.922)
	add(10042-7391-848, 0.5, (0.825*10042-0.800*7391-0.922*848)/(10042-7391-848))
	got, err := Subsets(DefaultContaminationConfig(), shares, scores)
	require.NoError(t, err)
	want := []struct {
		n       int
		mean, z float64
	}{{7391, 0.800, -5.73}, {2651, 0.895, 9.56}, {9194, 0.816, -2.27}, {848, 0.922, 7.42}}
	for i, w := range want {
		assert.Equal(t, w.n, got[i].Samples)
		assert.InDelta(t, w.mean, got[i].Mean, 0.002, got[i].Name)
		assert.InDelta(t, w.z, got[i].Z, 0.25, got[i].Name) // the table's means are rounded to a tenth of a percent
		assert.InDelta(t, 0.825, got[i].Expected, 1e-3)
	}
	assert.InDelta(t, 0.861, got[3].Share, 1e-9)
	assert.True(t, Affected(got))

	got, err = Subsets(DefaultContaminationConfig(), []float64{0.2, 0.8, 0.1, 0.79}, nil)
	require.NoError(t, err)
	for i, n := range []int{1, 3, 3, 1} {
		assert.Equal(t, n, got[i].Samples)
		assert.True(t, math.IsNaN(got[i].Z))
	}
	assert.False(t, Affected(got))
	_, err = Subsets(DefaultContaminationConfig(), []float64{1}, []float64{})
	assert.ErrorContains(t, err, "0 scores for 1 samples")
}

func BenchmarkSuffixArray(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := zipf(rng, 1<<20)
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			suffixArray(text)
		}
		b.ReportMetric(float64(len(text))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mtokens/s")
	})
	b.Run("standard_library_on_bytes", func(b *testing.B) {
		raw := make([]byte, 0, 4*len(text))
		for _, id := range text {
			raw = append(raw, byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
		}
		for b.Loop() {
			suffixarray.New(raw)
		}
		b.ReportMetric(float64(len(text))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mtokens/s")
	})
}

// zipf is text of 32000 words, some common and most rare, with repeated passages.
func zipf(rng *rand.Rand, n int) []int32 {
	text := make([]int32, 0, n)
	for len(text) < n {
		if len(text) > 1000 && rng.IntN(200) == 0 {
			at := rng.IntN(len(text) - 300)
			text = append(text, text[at:at+rng.IntN(300)]...)
			continue
		}
		text = append(text, int32(math.Pow(32000, rng.Float64())))
	}
	return text[:n]
}

func BenchmarkContamination(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := zipf(rng, 1<<22)
	for _, samples := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("%d_samples", samples), func(b *testing.B) {
			var eval [][]int32
			for range samples {
				at := rng.IntN(len(text) - 200)
				sample := slices.Clone(text[at : at+200])
				if rng.IntN(2) == 0 {
					sample = zipf(rng, 200)
				}
				eval = append(eval, sample)
			}
			c, err := NewContamination(eval, DefaultContaminationConfig())
			require.NoError(b, err)
			for b.Loop() {
				for document := range slices.Chunk(text, 1024) {
					c.Add(document)
				}
			}
			b.ReportMetric(float64(len(text))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mtokens/s")
		})
	}
}
