package arch_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// The paper's Table 1 and what is published of the models.
func TestPresets(t *testing.T) {
	for _, c := range []struct {
		cfg    arch.Config
		hidden int
		params int64
	}{
		{arch.Llama2_7B(), 11008, 6_738_415_616},
		{arch.Llama2_13B(), 13824, 13_015_864_320},
		{arch.Llama2_34B(), 22016, 0},
		{arch.Llama2_70B(), 28672, 68_976_648_192},
	} {
		assert.NoError(t, c.cfg.Validate())
		assert.Equal(t, 128, c.cfg.HeadDim)
		assert.Equal(t, c.hidden, c.cfg.HiddenDim)
		assert.Equal(t, []float64{1e-5, 1e4, 4096, 32000}, []float64{c.cfg.NormEps, c.cfg.RopeTheta, float64(c.cfg.MaxSeqLen), float64(c.cfg.VocabSize)})
		if c.params > 0 {
			assert.Equal(t, c.params, c.cfg.NumParams())
		}
	}
	assert.Equal(t, 8, arch.Llama2_34B().NumKVHeads)
}

func TestConfigValidate(t *testing.T) {
	assert.NoError(t, tiny().Validate())
	for want, change := range map[string]func(*arch.Config){
		"Dim is 0":                      func(c *arch.Config) { c.Dim = 0 },
		"NumLayers is -1":               func(c *arch.Config) { c.NumLayers = -1 },
		"want a multiple of NumKVHeads": func(c *arch.Config) { c.NumKVHeads = 3 },
		"even number":                   func(c *arch.Config) { c.HeadDim = 5 },
		"NormEps is 0":                  func(c *arch.Config) { c.NormEps = 0 },
		"NormEps is NaN":                func(c *arch.Config) { c.NormEps = math.NaN() },
		"RopeTheta is +Inf":             func(c *arch.Config) { c.RopeTheta = math.Inf(1) },
		"BOS is 31":                     func(c *arch.Config) { c.BOS = 31 },
		"EOS is -2":                     func(c *arch.Config) { c.EOS = -2 },
		"VocabSize is 20000":            func(c *arch.Config) { c.VocabSize = 2_000_000 },
		"MaxSeqLen is 0":                func(c *arch.Config) { c.MaxSeqLen = 0 },
	} {
		c := tiny()
		change(&c)
		assert.ErrorContains(t, c.Validate(), want)
	}
	err := arch.Config{}.Validate()
	assert.ErrorContains(t, err, "Dim")
	assert.ErrorContains(t, err, "RopeTheta", "all problems at once")
}

func tiny() arch.Config {
	return arch.Config{
		Dim: 24, NumLayers: 2, NumHeads: 4, NumKVHeads: 2, HeadDim: 6, HiddenDim: 20, VocabSize: 31, MaxSeqLen: 160,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
}
