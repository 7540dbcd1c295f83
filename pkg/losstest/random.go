package losstest

import (
	"math/rand/v2"
	"slices"
)

// unusedSlots is the number of slots that random cases leave unused, so that CheckMask has something to fill.
const unusedSlots = 3

// RandomPPO draws a case for a loss over ppo.LossInputs: that many segments of 2 to tokens tokens, a prompt and an
// answer each, some unused slots and an unused segment. It is differentiated by LogProbs, Values and Entropy. Everything
// is exactly 0 where Mask is 0. Hidden is not there, for a loss with a head of its own add it to Rows.
//
// The same seed gives the same case. Log-ratios are about 0.3 wide, so some tokens leave a clipping range of 0.2.
func RandomPPO(rng *rand.Rand, segments, tokens int) Case {
	c := randomTokens(rng, segments, tokens)
	normal := func(scale float64) func() float64 {
		return func() float64 { return scale * rng.NormFloat64() }
	}
	c.draw("OldLogProbs", func() float64 { return -0.1 - rng.ExpFloat64() })
	c.drawNear(rng, "LogProbs", "OldLogProbs", 0.3)
	c.drawNear(rng, "RefLogProbs", "OldLogProbs", 0.3)
	c.draw("Entropy", func() float64 { return 0.1 + 2*rng.Float64() })
	c.draw("Advantages", normal(1))
	c.draw("OldValues", normal(1))
	c.drawNear(rng, "Values", "OldValues", 0.3)
	c.draw("Returns", normal(1))
	c.Segment["Scores"] = drawn(c.Segment[SegmentMask], normal(1))
	c.Wrt = []string{"LogProbs", "Values", "Entropy"}
	return c
}

// RandomSFT draws a case for a loss over log-probabilities of counted tokens, as sft.LossInputs has them: that many
// segments of 2 to tokens tokens, some unused slots and an unused segment. It is differentiated by LogProbs and Entropy.
func RandomSFT(rng *rand.Rand, segments, tokens int) Case {
	c := randomTokens(rng, segments, tokens)
	c.draw("LogProbs", func() float64 { return -0.1 - rng.ExpFloat64() })
	c.draw("Entropy", func() float64 { return 0.1 + 2*rng.Float64() })
	c.draw("Hits", func() float64 { return float64(rng.IntN(2)) })
	c.draw("Weights", func() float64 { return 0.5 + rng.Float64() })
	c.Wrt = []string{"LogProbs", "Entropy"}
	return c
}

// RandomPairs draws a case for a loss over rewardmodel.LossInputs: that many pairs of a chosen and a rejected answer,
// which are the segments 2i and 2i+1, and one unused pair. It is differentiated by Chosen, Rejected and Scores, which
// are inputs of their own here. Some answers have a safety label.
func RandomPairs(rng *rand.Rand, pairs int) Case {
	c := Case{
		Segment: map[string][]float64{SegmentMask: append(slices.Repeat([]float64{1}, 2*pairs), 0, 0)},
		Group:   map[string][]float64{GroupMask: append(slices.Repeat([]float64{1}, pairs), 0)},
		MaskOf:  map[string]string{"ChosenSafe": "ChosenKnown", "RejectedSafe": "RejectedKnown"},
		Wrt:     []string{"Chosen", "Rejected", "Scores"},
	}
	for i := range int32(pairs) {
		c.Groups = append(c.Groups, i, i)
	}
	c.Groups = append(c.Groups, -1, -1)
	draw := func(name string, next func() float64) []float64 {
		c.Group[name] = drawn(c.Group[GroupMask], next)
		return c.Group[name]
	}
	flag := func() float64 { return float64(rng.IntN(2)) }

	chosen := draw("Chosen", rng.NormFloat64)
	rejected := draw("Rejected", rng.NormFloat64)
	draw("Margin", func() float64 { return float64(rng.IntN(4)) / 3 })
	for _, answer := range []string{"Chosen", "Rejected"} {
		known, safe := draw(answer+"Known", flag), draw(answer+"Safe", flag)
		for i := range safe {
			safe[i] *= known[i]
		}
	}
	for i := range chosen {
		c.Segment["Scores"] = append(c.Segment["Scores"], chosen[i], rejected[i])
	}
	return c
}

// randomTokens draws the segments and the masks. The first slots of a segment are its prompt, its last slot has no
// target: both are not counted.
func randomTokens(rng *rand.Rand, segments, tokens int) Case {
	c := Case{Token: map[string][]float64{}, Segment: map[string][]float64{}}
	for seg := range segments {
		length := 2 + rng.IntN(max(tokens-1, 1))
		answer := rng.IntN(length - 1)
		for i := range length {
			counted := 0.0
			if i >= answer && i < length-1 {
				counted = 1
			}
			c.Segments = append(c.Segments, int32(seg))
			c.Token[TokenMask] = append(c.Token[TokenMask], counted)
		}
	}
	c.Segments = append(c.Segments, slices.Repeat([]int32{-1}, unusedSlots)...)
	c.Token[TokenMask] = append(c.Token[TokenMask], make([]float64, unusedSlots)...)
	c.Segment[SegmentMask] = append(slices.Repeat([]float64{1}, segments), 0)
	return c
}

// draw adds a token column, 0 where Mask is 0.
func (c Case) draw(name string, next func() float64) { c.Token[name] = drawn(c.Token[TokenMask], next) }

// drawn draws the entries of a column where its mask is not 0.
func drawn(mask []float64, next func() float64) []float64 {
	col := make([]float64, len(mask))
	for i, m := range mask {
		if m != 0 {
			col[i] = next()
		}
	}
	return col
}

// drawNear adds a token column that differs from another one by normal numbers of that scale.
func (c Case) drawNear(rng *rand.Rand, name, other string, scale float64) {
	i := -1
	c.draw(name, func() float64 {
		for i++; c.Token[TokenMask][i] == 0; i++ {
		}
		return c.Token[other][i] + scale*rng.NormFloat64()
	})
}
