package eval

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// longer prefers the longer answer, in whatever order.
func longer(_ context.Context, _, first, second string) (Verdict, error) {
	switch {
	case len(first) > len(second):
		return First, nil
	case len(first) < len(second):
		return Second, nil
	}
	return Tie, nil
}

func matchesOf(pairs ...string) []Match[string, string] {
	var list []Match[string, string]
	for _, p := range pairs {
		ours, theirs, _ := strings.Cut(p, "-")
		list = append(list, Match[string, string]{"?", ours, theirs})
	}
	return list
}

func TestWinRateCounts(t *testing.T) {
	w, err := WinRate(t.Context(), longer, matchesOf("aaa-b", "aa-b", "a-bb", "aa-bb"))
	require.NoError(t, err)
	assert.Equal(t, 2, w.Wins)
	assert.Equal(t, 1, w.Losses)
	assert.Equal(t, 1, w.Ties)
	assert.Zero(t, w.OrderDependent)
	assert.Equal(t, 2.5/4, w.Rate.Mean)
	lo, hi := Wilson(2.5, 4)
	assert.Equal(t, [2]float64{lo, hi}, [2]float64{w.Rate.Lo, w.Rate.Hi})
	assert.Equal(t, 0.5, w.ShownFirst.Mean)
	assert.Equal(t, 6, w.ShownFirst.N)
}

// All nine pairs of verdicts, against the definition in words.
func TestWinRateNeedsBothOrders(t *testing.T) {
	for _, v1 := range []Verdict{Tie, First, Second} {
		for _, v2 := range []Verdict{Tie, First, Second} {
			shown := 0
			judge := func(_ context.Context, _, first, second string) (Verdict, error) {
				shown++
				if first == "ours" {
					require.Equal(t, "theirs", second)
					return v1, nil
				}
				require.Equal(t, "ours", second)
				return v2, nil
			}
			w, err := WinRate(t.Context(), judge, matchesOf("ours-theirs"))
			require.NoError(t, err)
			assert.Equal(t, 2, shown)
			both := map[[2]Verdict]float64{{First, Second}: 1, {Second, First}: 0}
			want, decided := both[[2]Verdict{v1, v2}]
			if !decided {
				want = 0.5
			}
			assert.Equal(t, want, w.Rate.Mean, "%v and %v", v1, v2)
			assert.Equal(t, !decided && (v1 != Tie || v2 != Tie), w.OrderDependent == 1)
			assert.Equal(t, 1, w.Wins+w.Losses+w.Ties)
		}
	}
}

// A judge who looks at the order alone gives neither side an advantage, and is noticed.
func TestPositionBias(t *testing.T) {
	judge := func(context.Context, string, string, string) (Verdict, error) { return First, nil }
	w, err := WinRate(t.Context(), judge, matchesOf("a-b", "c-d", "e-f"))
	require.NoError(t, err)
	assert.Equal(t, 0.5, w.Rate.Mean)
	assert.Equal(t, 3, w.OrderDependent)
	assert.Equal(t, 1.0, w.ShownFirst.Mean)
}

// The interval covers the truth at least as often as it says, ties or not.
func TestWinRateInterval(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct{ win, tie float64 }{{0.5, 0}, {0.36, 0.315}, {0.9, 0.05}} {
		const rounds = 2000
		covered := 0
		for range rounds {
			pairs := make([]string, 60)
			for i := range pairs {
				switch x := rng.Float64(); {
				case x < c.win:
					pairs[i] = "aa-b"
				case x < c.win+c.tie:
					pairs[i] = "a-b"
				default:
					pairs[i] = "a-bb"
				}
			}
			w, err := WinRate(t.Context(), longer, matchesOf(pairs...))
			require.NoError(t, err)
			if truth := c.win + c.tie/2; w.Rate.Lo <= truth && truth <= w.Rate.Hi {
				covered++
			}
		}
		assert.Greater(t, float64(covered)/rounds, 0.93, "%+v", c)
	}
}

func TestWinRateRefuses(t *testing.T) {
	_, err := WinRate(t.Context(), longer, nil)
	assert.ErrorContains(t, err, "eval: win rate: no matches")
	broken := errors.New("broken")
	_, err = WinRate(t.Context(), func(context.Context, string, string, string) (Verdict, error) { return Tie, broken }, matchesOf("a-b"))
	assert.ErrorIs(t, err, broken)
	assert.ErrorContains(t, err, "match 0")
	_, err = WinRate(t.Context(), func(context.Context, string, string, string) (Verdict, error) { return 7, nil }, matchesOf("a-b"))
	assert.ErrorContains(t, err, "the judge said Verdict(7)")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = WinRate(ctx, longer, matchesOf("a-b"))
	assert.ErrorIs(t, err, context.Canceled)
}
