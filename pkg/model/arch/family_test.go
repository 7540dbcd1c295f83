package arch_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model/arch"
)

func TestFamilyNames(t *testing.T) {
	for _, f := range []arch.Family{arch.FamilyLlama, arch.FamilyMistral, arch.FamilyQwen2, arch.FamilyQwen3} {
		text, err := f.MarshalText()
		require.NoError(t, err)
		var back arch.Family
		require.NoError(t, back.UnmarshalText(text))
		assert.Equal(t, f, back)
		assert.Equal(t, f.String(), string(text))
	}
	var f arch.Family
	assert.ErrorContains(t, f.UnmarshalText([]byte("gemma")), `unknown family "gemma", want llama, mistral, qwen2 or qwen3`)
	var r arch.RopeType
	require.NoError(t, r.UnmarshalText([]byte("yarn")))
	assert.Equal(t, arch.RopeYaRN, r)
	assert.ErrorContains(t, r.UnmarshalText([]byte("su")), `unknown rope type "su", want default, linear, dynamic, yarn or llama3`)
}

func TestFamilyValidate(t *testing.T) {
	for want, change := range map[string]func(*arch.Config){
		"Family is Family(9), want llama":                     func(c *arch.Config) { c.Family = 9 },
		"AttentionBias is true, want false for the family":    func(c *arch.Config) { c.Family, c.AttentionBias = arch.FamilyQwen2, true },
		"Window is 3, want 0 for the family llama":            func(c *arch.Config) { c.Window = 3 },
		"Window is -3, want 1 to":                             func(c *arch.Config) { c.Family, c.Window = arch.FamilyMistral, -3 },
		"FullLayers is 1, want 0 for the family mistral":      func(c *arch.Config) { c.Family, c.Window, c.FullLayers = arch.FamilyMistral, 3, 1 },
		"FullLayers is 1, want 0 without a Window":            func(c *arch.Config) { c.Family, c.FullLayers = arch.FamilyQwen3, 1 },
		"FullLayers is 3, want 0 to NumLayers, which is 2":    func(c *arch.Config) { c.Family, c.Window, c.FullLayers = arch.FamilyQwen3, 9, 3 },
		"Rope.Type is RopeType(7)":                            func(c *arch.Config) { c.Rope.Type = 7 },
		"Rope.Factor is 2, want 0 for rotary positions of":    func(c *arch.Config) { c.Rope.Factor = 2 },
		"Rope.Factor is 0, want a positive number":            func(c *arch.Config) { c.Rope.Type = arch.RopeLinear },
		"Rope.Factor is +Inf":                                 func(c *arch.Config) { c.Rope = arch.RopeScaling{Type: arch.RopeDynamic, Factor: math.Inf(1)} },
		"Rope.Factor is NaN":                                  func(c *arch.Config) { c.Rope = arch.RopeScaling{Type: arch.RopeDynamic, Factor: math.NaN()} },
		"Rope.BetaFast is 3, want 0":                          func(c *arch.Config) { c.Rope = arch.RopeScaling{Type: arch.RopeLinear, Factor: 2, BetaFast: 3} },
		"Rope.Truncate is true, want false":                   func(c *arch.Config) { c.Rope.Truncate = true },
		"Rope.OriginalMaxSeqLen is 0, want a positive number": func(c *arch.Config) { c.Rope = arch.RopeScaling{Type: arch.RopeYaRN, Factor: 2} },
		"Rope.HighFreqFactor is 1, want more than Rope.LowFreq": func(c *arch.Config) {
			c.Rope = arch.RopeScaling{Type: arch.RopeLlama3, LowFreqFactor: 2, HighFreqFactor: 1}
		},
		"RopeTheta is 1, want more than 1": func(c *arch.Config) {
			c.RopeTheta, c.Rope.Type = 1, arch.RopeYaRN
		},
	} {
		c := tiny()
		change(&c)
		assert.ErrorContains(t, c.Validate(), want)
	}
}

// Which layers see how much.
func TestLayerWindow(t *testing.T) {
	c := tiny()
	assert.False(t, c.Windowed())
	assert.Zero(t, c.LayerWindow(1))
	c.Family, c.Window, c.FullLayers = arch.FamilyQwen3, 9, 1
	require.NoError(t, c.Validate())
	assert.True(t, c.Windowed())
	assert.Equal(t, []int{0, 9}, []int{c.LayerWindow(0), c.LayerWindow(1)})
	c.MaxSeqLen = 9
	assert.False(t, c.Windowed(), "no sequence is longer")
	c.MaxSeqLen, c.FullLayers = 10, 2
	assert.False(t, c.Windowed(), "no layer has it")
}

// Frequencies worked out by hand, of heads of 8 columns with base 1e4: 1, 0.1, 0.01, 0.001. Against transformers: TestLogProbsOfFamilies.
func TestFrequencies(t *testing.T) {
	c := tiny()
	c.HeadDim = 8
	for _, x := range []struct {
		scaling arch.RopeScaling
		want    []float64
		scale   float64
	}{
		{arch.RopeScaling{}, []float64{1, 0.1, 0.01, 0.001}, 1},
		{arch.RopeScaling{Type: arch.RopeLinear, Factor: 4}, []float64{0.25, 0.025, 0.0025, 0.00025}, 1},
		{arch.RopeScaling{Type: arch.RopeDynamic, Factor: 4}, []float64{1, 0.1, 0.01, 0.001}, 1},
		// Rotations over 120 tokens: 19.1, 1.91, 0.191, 0.0191. The second is 0.91/3 of the way from scaled to not scaled.
		{
			arch.RopeScaling{Type: arch.RopeLlama3, Factor: 8, OriginalMaxSeqLen: 120, LowFreqFactor: 1, HighFreqFactor: 4},
			[]float64{1, 0.1/8 + (6/math.Pi-1)/3*(0.1-0.1/8), 0.01 / 8, 0.001 / 8}, 1,
		},
		// The pairs that rotate 10 and 0.1 times: 0.28 and 2.28, which are rounded to 0 and 3.
		{
			arch.RopeScaling{Type: arch.RopeYaRN, Factor: 2, OriginalMaxSeqLen: 120, BetaFast: 10, BetaSlow: 0.1, AttentionFactor: 1.5, Truncate: true},
			[]float64{1, 0.1 * (2.0/3 + 1.0/3/2), 0.01 * (1.0/3 + 2.0/3/2), 0.001 / 2}, 1.5,
		},
	} {
		c.Rope = x.scaling
		freqs, scale := c.Frequencies()
		assert.InDeltaSlice(t, x.want, freqs, 1e-15, x.scaling.Type)
		assert.InDelta(t, x.scale, scale, 0)
	}
	assert.InDelta(t, 1, arch.YaRNScale(0.5, 1), 0)
	assert.InDelta(t, 0.1*math.Log(8)+1, arch.YaRNScale(8, 1), 1e-15)
}
