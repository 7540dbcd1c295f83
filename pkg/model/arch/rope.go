package arch

import (
	"math"

	"github.com/tame-rlhf/tame/internal/enum"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// RopeType is a way to scale rotary positions, for contexts longer than a model was trained with.
type RopeType int

// The types, by the rope_type of transformers.
const (
	// RopeDefault scales nothing.
	RopeDefault RopeType = iota
	// RopeLinear divides all frequencies by Factor (Chen et al. 2023).
	RopeLinear
	// RopeDynamic raises the base for sequences longer than the trained context, by their length. A token's result would depend on the
	// tokens after it, so a model has only its trained context as MaxSeqLen, where this is RopeDefault.
	RopeDynamic
	// RopeYaRN divides low frequencies by Factor, keeps high ones, and scales the angles' cosines and sines (Peng et al. 2023).
	RopeYaRN
	// RopeLlama3 is that of Llama 3.1: as YaRN, with another transition and without the scale.
	RopeLlama3
)

var ropeNames = []string{RopeDefault: "default", RopeLinear: "linear", RopeDynamic: "dynamic", RopeYaRN: "yarn", RopeLlama3: "llama3"}

// String is the rope_type.
func (t RopeType) String() string { return enum.String("RopeType", t, ropeNames) }

// MarshalText implements encoding.TextMarshaler.
func (t RopeType) MarshalText() ([]byte, error) { return enum.Marshal("rope type", t, ropeNames) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *RopeType) UnmarshalText(text []byte) error {
	return enum.Unmarshal("rope type", text, t, ropeNames)
}

// RopeScaling scales rotary positions. What a type does not use is 0.
type RopeScaling struct {
	// Type is the way of scaling. Llama 2: default, which is none.
	Type RopeType
	// Factor is how many times longer the context became. Of all types but default.
	Factor float64
	// OriginalMaxSeqLen is the context length before. Of yarn and llama3. Llama 3.1: 8192.
	OriginalMaxSeqLen int
	// LowFreqFactor is for llama3: wavelengths longer than OriginalMaxSeqLen / LowFreqFactor are scaled by the whole factor. Llama 3.1: 1.
	LowFreqFactor float64
	// HighFreqFactor is for llama3: wavelengths shorter than OriginalMaxSeqLen / HighFreqFactor are not scaled. Llama 3.1: 4.
	HighFreqFactor float64
	// BetaFast is for yarn: pairs of columns that rotate more often than this over OriginalMaxSeqLen are not scaled. Usual: 32.
	BetaFast float64
	// BetaSlow is for yarn: pairs of columns that rotate less often than this over OriginalMaxSeqLen are scaled by the whole factor. Usual: 1.
	BetaSlow float64
	// AttentionFactor is for yarn: it multiplies queries and keys. Usual: 0.1 ln(Factor) + 1.
	AttentionFactor float64
	// Truncate is for yarn: the bounds of its transition are rounded to whole pairs of columns. Usual: true.
	Truncate bool
}

// Frequencies are the angles by which each pair of columns of a head turns from one position to the next, and the factor of their cosines
// and sines.
func (c Config) Frequencies() (freqs []float64, scale float64) {
	freqs, scale = make([]float64, c.HeadDim/2), 1
	for i := range freqs {
		freqs[i] = math.Pow(c.RopeTheta, -2*float64(i)/float64(c.HeadDim))
	}
	switch s := c.Rope; s.Type {
	case RopeLinear:
		for i := range freqs {
			freqs[i] /= s.Factor
		}
	case RopeLlama3:
		for i, f := range freqs {
			freqs[i] = s.llama3(f)
		}
	case RopeYaRN:
		c.yarn(freqs)
		scale = s.AttentionFactor
	}
	return freqs, scale
}

// llama3 scales one frequency: by its number of rotations over the original context.
func (s RopeScaling) llama3(f float64) float64 {
	rotations := float64(s.OriginalMaxSeqLen) * f / (2 * math.Pi)
	kept := (rotations - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
	return blend(f/s.Factor, f, kept)
}

// yarn scales the frequencies: by the place of their pair of columns between those that rotate BetaFast and BetaSlow times.
func (c Config) yarn(freqs []float64) {
	s := c.Rope
	// pair is the pair of columns, as a real number, that rotates so often over the original context.
	pair := func(rotations float64) float64 {
		return float64(c.HeadDim) * math.Log(float64(s.OriginalMaxSeqLen)/(rotations*2*math.Pi)) / (2 * math.Log(c.RopeTheta))
	}
	low, high := pair(s.BetaFast), pair(s.BetaSlow)
	if s.Truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(c.HeadDim-1))
	if low == high {
		high += 0.001
	}
	for i, f := range freqs {
		freqs[i] = blend(f, f/s.Factor, (float64(i)-low)/(high-low))
	}
}

// blend goes from a to b while t goes from 0 to 1.
func blend(a, b, t float64) float64 {
	t = min(max(t, 0), 1)
	return (1-t)*a + t*b
}

// YaRNScale is 0.1 mscale ln(factor) + 1, and 1 where the context did not become longer. With an mscale of 1 it is the usual
// AttentionFactor of a context that became factor times longer (Peng et al. 2023, equation 22).
func YaRNScale(factor, mscale float64) float64 {
	if factor <= 1 {
		return 1
	}
	return 0.1*mscale*math.Log(factor) + 1
}

func (c Config) checkRope(check *setting.Checks) {
	s := c.Rope
	known := s.Type >= 0 && int(s.Type) < len(ropeNames)
	check.That(known, "Rope.Type", s.Type, "default, linear, dynamic, yarn or llama3")
	// number wants a positive number of the types that use it, and 0 of the others.
	number := func(name string, x float64, types ...RopeType) {
		for _, t := range types {
			if t == s.Type {
				check.That(x > 0 && !math.IsInf(x, 0), "Rope."+name, x, "a positive number for rotary positions of type "+s.Type.String())
				return
			}
		}
		check.That(x == 0, "Rope."+name, x, "0 for rotary positions of type "+s.Type.String())
	}
	number("Factor", s.Factor, RopeLinear, RopeDynamic, RopeYaRN, RopeLlama3)
	number("OriginalMaxSeqLen", float64(s.OriginalMaxSeqLen), RopeYaRN, RopeLlama3)
	number("LowFreqFactor", s.LowFreqFactor, RopeLlama3)
	number("HighFreqFactor", s.HighFreqFactor, RopeLlama3)
	number("BetaFast", s.BetaFast, RopeYaRN)
	number("BetaSlow", s.BetaSlow, RopeYaRN)
	number("AttentionFactor", s.AttentionFactor, RopeYaRN)
	check.That(s.Type == RopeYaRN || !s.Truncate, "Rope.Truncate", s.Truncate, "false for rotary positions of type "+s.Type.String())
	if s.Type == RopeLlama3 {
		check.That(s.LowFreqFactor < s.HighFreqFactor, "Rope.HighFreqFactor", s.HighFreqFactor, "more than Rope.LowFreqFactor")
	}
	if s.Type == RopeYaRN {
		check.That(s.BetaSlow < s.BetaFast, "Rope.BetaFast", s.BetaFast, "more than Rope.BetaSlow")
		check.That(c.RopeTheta > 1, "RopeTheta", c.RopeTheta, "more than 1 for rotary positions of type yarn")
	}
}
