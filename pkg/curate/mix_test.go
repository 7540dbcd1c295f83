package curate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/curate"
)

func draw(m *curate.Mix, n int) []curate.Pick {
	picks := make([]curate.Pick, n)
	for i := range picks {
		picks[i] = m.Next()
	}
	return picks
}

func newMix(t *testing.T, seed uint64, sources ...curate.MixSource) *curate.Mix {
	t.Helper()
	m, err := curate.NewMix(sources, seed)
	require.NoError(t, err)
	return m
}

// The source of each row is that of the rule in whole numbers.
func TestMixSourcesAreThoseFurthestBehind(t *testing.T) {
	weights := []int{5, 0, 2, 1} // eighths are exact in floating point
	var sources []curate.MixSource
	for _, w := range weights {
		sources = append(sources, curate.MixSource{Rows: 7, Weight: float64(w)})
	}
	drawn := make([]int, len(weights))
	for n, pick := range draw(newMix(t, 1, sources...), 1000) {
		best := 0
		for i, w := range weights {
			if w*(n+1)-8*drawn[i] > weights[best]*(n+1)-8*drawn[best] {
				best = i
			}
		}
		drawn[best]++
		require.Equal(t, best, pick.Source, "row %d", n)
	}
	assert.Equal(t, []int{625, 0, 250, 125}, drawn)
}

func TestMixKeepsShares(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 50 {
		sources := make([]curate.MixSource, 1+rng.IntN(6))
		total := 0.0
		for i := range sources {
			sources[i] = curate.MixSource{Rows: 1 + rng.IntN(50), Weight: rng.Float64()}
			total += sources[i].Weight
		}
		drawn := make([]float64, len(sources))
		for n, pick := range draw(newMix(t, 1, sources...), 500) {
			drawn[pick.Source]++
			for i, s := range sources {
				ahead := drawn[i] - s.Weight/total*float64(n+1)
				require.Less(t, ahead, 1.0)
				if len(sources) == 2 {
					require.Greater(t, ahead, -1.0)
				}
			}
		}
	}
}

// Every epoch of a source has each of its rows once, in an order of its own.
func TestMixEpochs(t *testing.T) {
	const rows = 40
	m := newMix(t, 9, curate.MixSource{Rows: rows, Weight: 3}, curate.MixSource{Rows: rows, Weight: 3})
	orders := make([][]int, 2)
	for _, pick := range draw(m, 6*rows) {
		orders[pick.Source] = append(orders[pick.Source], pick.Row)
	}
	seen := map[string]bool{}
	for _, order := range orders {
		for epoch := range slices.Chunk(order, rows) {
			seen[fmt.Sprint(epoch)] = true
			slices.Sort(epoch)
			for i, row := range epoch {
				require.Equal(t, i, row)
			}
		}
	}
	assert.Len(t, seen, 6)
	assert.Equal(t, 2*rows, m.Once())
	assert.NotEqual(t, draw(newMix(t, 1, curate.MixSource{Rows: 9, Weight: 1}), 9), draw(newMix(t, 2, curate.MixSource{Rows: 9, Weight: 1}), 9))
}

func TestMixOnce(t *testing.T) {
	m := newMix(t, 5, curate.MixSource{Rows: 1000, Weight: 0.9}, curate.MixSource{Rows: 30, Weight: 0.1}, curate.MixSource{})
	n := m.Once()
	seen := map[curate.Pick]bool{}
	for _, pick := range draw(m, n) {
		require.False(t, seen[pick])
		seen[pick] = true
	}
	assert.True(t, seen[m.Next()], "the next one comes again")
	assert.InDelta(t, 300, n, 10)
}

// A run that stops anywhere and goes on from the position it saved draws what an uninterrupted one draws.
func TestMixGoesOnExactly(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	sources := []curate.MixSource{{Rows: 101, Weight: 0.6}, {Rows: 13, Weight: 0.3}, {Rows: 1, Weight: 0.1 / 3}}
	const rows = 1000 // many epochs of the smaller datasets
	whole := draw(newMix(t, 77, sources...), rows)
	for range 200 {
		var got []curate.Pick
		saved, err := json.Marshal(newMix(t, 77, sources...).Position())
		require.NoError(t, err)
		for len(got) < rows { // several stops in one run
			m := newMix(t, 77, sources...)
			var position curate.MixPosition
			require.NoError(t, json.Unmarshal(saved, &position))
			require.NoError(t, m.Seek(position))
			got = append(got, draw(m, min(rng.IntN(rows), rows-len(got)))...)
			saved, err = json.Marshal(m.Position())
			require.NoError(t, err)
			assert.Less(t, len(saved), 300)
		}
		require.Equal(t, whole, got)
	}

	// Backwards too, in a mixture that has gone on.
	m := newMix(t, 77, sources...)
	draw(m, 123)
	at := m.Position()
	draw(m, 555)
	require.NoError(t, m.Seek(at))
	assert.Equal(t, whole[123:], draw(m, rows-123))
}

func TestMixRefuses(t *testing.T) {
	for _, bad := range [][]curate.MixSource{
		nil, {{Rows: 3}}, {{Rows: 0, Weight: 1}}, {{Rows: 1, Weight: -1}, {Rows: 1, Weight: 2}}, {{Rows: 1, Weight: math.NaN()}},
		{{Rows: 1, Weight: math.Inf(1)}}, {{Rows: 1, Weight: math.MaxFloat64}, {Rows: 1, Weight: math.MaxFloat64}},
	} {
		_, err := curate.NewMix(bad, 1)
		assert.ErrorContains(t, err, "curate: mix: ", "%v", bad)
	}
	one := curate.MixSource{Rows: 5, Weight: 1}
	m := newMix(t, 1, one)
	assert.ErrorContains(t, m.Seek(newMix(t, 2, one).Position()), "go on with the same datasets")
	assert.ErrorContains(t, m.Seek(newMix(t, 1, one, one).Position()), "go on with the same datasets")
	assert.ErrorContains(t, m.Seek(newMix(t, 1, curate.MixSource{Rows: 6, Weight: 1}).Position()), "go on with the same datasets")
	p := m.Position()
	p.Drawn[0] = -1
	assert.ErrorContains(t, m.Seek(p), "want 1 numbers from 0 on")
	p.Drawn = nil
	assert.ErrorContains(t, m.Seek(p), "want 1 numbers from 0 on")
}

// numbers is a dataset of n rows: 100*source, 100*source+1, ...
func numbers(source, n int, err error) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(100*source+i, nil) {
				return
			}
		}
		if err != nil {
			yield(0, err)
		}
	}
}

func collect[T any](rows iter.Seq2[T, error]) (all []T, err error) {
	for row, e := range rows {
		if e != nil {
			return all, e
		}
		all = append(all, row)
	}
	return all, nil
}

func TestGather(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, window := range []int{1, 2, 7, 1000} {
		for range 20 {
			picks := make([]curate.Pick, rng.IntN(60))
			var want []int
			for i := range picks {
				picks[i] = curate.Pick{Source: rng.IntN(3), Row: rng.IntN(9)}
				want = append(want, 100*picks[i].Source+picks[i].Row)
			}
			got, err := collect(curate.Gather(slices.Values(picks), window, numbers(0, 9, nil), numbers(1, 20, nil), numbers(2, 9, nil)))
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
}

func TestGatherStops(t *testing.T) {
	picks := func(p ...curate.Pick) iter.Seq[curate.Pick] { return slices.Values(p) }
	got, err := collect(curate.Gather(picks(curate.Pick{0, 1}, curate.Pick{0, 3}), 1, numbers(0, 3, nil)))
	assert.ErrorContains(t, err, "there is no row 3 of dataset 0, which has 3 rows")
	assert.Equal(t, []int{1}, got)
	for _, p := range []curate.Pick{{1, 0}, {-1, 0}, {0, -1}} {
		_, err = collect(curate.Gather(picks(p), 5, numbers(0, 3, nil)))
		assert.ErrorContains(t, err, "there is no row")
	}
	_, err = collect(curate.Gather(picks(curate.Pick{0, 0}), 0, numbers(0, 3, nil)))
	assert.ErrorContains(t, err, "window")
	broken := errors.New("broken")
	_, err = collect(curate.Gather(picks(curate.Pick{0, 3}), 5, numbers(0, 3, broken)))
	assert.ErrorIs(t, err, broken)
	for row, err := range curate.Gather(picks(curate.Pick{0, 0}, curate.Pick{0, 1}), 1, numbers(0, 3, nil)) {
		require.NoError(t, err)
		assert.Equal(t, 0, row)
		break
	}
}

func ExampleMix() {
	fresh := curate.MixSource{Rows: 1000, Weight: 0.75}
	replay := curate.MixSource{Rows: 50, Weight: 0.25}
	mix, err := curate.NewMix([]curate.MixSource{fresh, replay}, 42)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 6 {
		mix.Next()
	}
	position := mix.Position() // saved with a checkpoint
	var rest []curate.Pick
	for range 4 {
		rest = append(rest, mix.Next())
	}

	again, err := curate.NewMix([]curate.MixSource{fresh, replay}, 42)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := again.Seek(position); err != nil {
		fmt.Println(err)
		return
	}
	same := true
	for _, pick := range rest {
		fmt.Println("dataset", pick.Source)
		same = same && again.Next() == pick
	}
	fmt.Println("went on exactly:", same)
	// Output:
	// dataset 1
	// dataset 0
	// dataset 0
	// dataset 0
	// went on exactly: true
}
