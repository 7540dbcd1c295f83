package rejection

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/pkg/data"
)

// answer is a finished answer to the prompt of that ID.
func answer(id string, version, sample int, reward float64) Candidate {
	return Candidate{Answer: data.Answer{Prompt: data.TokenPrompt{ID: id}, Finished: true}, Version: version, Index: sample, Reward: reward}
}

func cutOff(a Candidate) Candidate {
	a.Finished = false
	return a
}

func TestBest(t *testing.T) {
	for name, c := range map[string]struct {
		answers, want []Candidate
	}{
		"highest reward":        {[]Candidate{answer("a", 1, 0, 1), answer("a", 1, 1, 3), answer("a", 1, 2, 2)}, []Candidate{answer("a", 1, 1, 3)}},
		"negative rewards":      {[]Candidate{answer("a", 1, 0, -2), answer("a", 1, 1, -1)}, []Candidate{answer("a", 1, 1, -1)}},
		"unfinished":            {[]Candidate{cutOff(answer("a", 1, 0, 9)), answer("a", 1, 1, -1)}, []Candidate{answer("a", 1, 1, -1)}},
		"unfinished, behind":    {[]Candidate{answer("a", 1, 1, -1), cutOff(answer("a", 1, 0, 9))}, []Candidate{answer("a", 1, 1, -1)}},
		"none finished":         {[]Candidate{cutOff(answer("a", 1, 0, 9)), answer("b", 1, 0, 0)}, []Candidate{answer("b", 1, 0, 0)}},
		"tie: newest version":   {[]Candidate{answer("a", 1, 0, 1), answer("a", 2, 5, 1), answer("a", 1, 3, 1)}, []Candidate{answer("a", 2, 5, 1)}},
		"tie: first sample":     {[]Candidate{answer("a", 1, 2, 1), answer("a", 1, 1, 1), answer("a", 1, 3, 1)}, []Candidate{answer("a", 1, 1, 1)}},
		"an old one may win":    {[]Candidate{answer("a", 1, 0, 2), answer("a", 2, 0, 1)}, []Candidate{answer("a", 1, 0, 2)}},
		"order of first prompt": {[]Candidate{answer("b", 1, 0, 1), answer("a", 1, 0, 1), answer("b", 1, 1, 2)}, []Candidate{answer("b", 1, 1, 2), answer("a", 1, 0, 1)}},
		"nothing":               {nil, nil},
	} {
		assert.Equal(t, c.want, Best(c.answers), name)
		if name != "order of first prompt" { // who wins does not depend on the order
			slices.Reverse(c.answers)
			assert.ElementsMatch(t, c.want, Best(c.answers), name)
		}
	}
}

func TestMeasureByHand(t *testing.T) {
	pt, _ := measure(0.7, []Candidate{
		answer("a", 1, 0, 1), answer("a", 1, 1, 5), cutOff(answer("a", 1, 2, 9)), answer("a", 1, 3, -3), // median 3, best 5
		answer("b", 1, 0, 2), answer("b", 1, 1, 2), answer("b", 1, 2, 4), cutOff(answer("b", 1, 3, 0)), // median 2, best 4
		cutOff(answer("c", 1, 0, 7)), cutOff(answer("c", 1, 1, 7)), cutOff(answer("c", 1, 2, 7)), cutOff(answer("c", 1, 3, 7)), // median 7
	}, 4)
	assert.Equal(t, 0.7, pt.Temperature)
	assert.InDelta(t, (5.0+4)/2, pt.Max, 1e-12)
	assert.InDelta(t, (3.0+2+7)/3, pt.Median, 1e-12)
	assert.InDelta(t, 6.0/12, pt.Finished, 1e-12)
	assert.InDelta(t, 2.0/3, pt.Winners, 1e-12)

	odd, _ := measure(1, []Candidate{answer("a", 1, 0, 3), answer("a", 1, 1, 8), answer("a", 1, 2, 4)}, 3)
	assert.InDelta(t, 4, odd.Median, 1e-12)
}

// TestChoose: the highest mean wins if it is higher by more than one standard error of the difference, else the first.
func TestChoose(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		maxima [][]float64
		want   int
	}{
		{[][]float64{{1, 2, 3}, {2, 3, 4}}, 1},              // 1 higher, always: no error
		{[][]float64{{1, 2, 3}, {1, 2, 3}}, 0},              // equal
		{[][]float64{{1, 2, 3}, {4, 2, 1}}, 0},              // differences 3, 0, -2: 0.33, with an error of 1.45
		{[][]float64{{1, 2, 3}, {2, 2, 4}}, 1},              // differences 1, 0, 1: 0.67, with an error of 0.33
		{[][]float64{{9, nan, 3}, {nan, 9, 4}}, 1},          // one prompt in common
		{[][]float64{{nan, nan, nan}, {1, nan, 0}}, 1},      // nothing finished at the first
		{[][]float64{{3, 3, 3}, {1, 2, 3}, {2, 3, 3.9}}, 0}, // the first is the highest
		{[][]float64{{nan}, {nan}}, -1},
	} {
		var points []Point
		for _, maxima := range c.maxima {
			var pt Point
			for _, x := range maxima {
				if x == x {
					pt.Max += x
					pt.Winners++
				}
			}
			pt.Max /= max(pt.Winners, 1)
			points = append(points, pt)
		}
		assert.Equal(t, c.want, choose(points, c.maxima), "%v", c.maxima)
	}
}

// TestBestIsNotEmpty: a stop token alone is no answer, whatever its reward.
func TestBestIsNotEmpty(t *testing.T) {
	candidate := func(reward float64, tokens ...int32) Candidate {
		return Candidate{Answer: data.Answer{Prompt: data.TokenPrompt{ID: "a"}, Tokens: tokens, Finished: true}, Reward: reward}
	}
	best := Best([]Candidate{candidate(9, 2), candidate(1, 5, 2)})
	if assert.Len(t, best, 1) {
		assert.Equal(t, []int32{5, 2}, best[0].Tokens)
	}
	assert.Empty(t, Best([]Candidate{candidate(9, 2)}))
}
