package llamacpp

import (
	"math"

	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// Keys of scaled rotary positions.
const (
	keyScaling   = "rope.scaling.type"
	keyFactor    = "rope.scaling.factor"
	keyOldFactor = "rope.scale_linear"
	keyOriginal  = "rope.scaling.original_context_length"
	keyFinetuned = "rope.scaling.finetuned" // changes nothing
	keyBetaFast  = "rope.scaling.yarn_beta_fast"
	keyBetaSlow  = "rope.scaling.yarn_beta_slow"
)

// freqsName is the tensor of the divisors of the frequencies, (D/2), which Llama 3.1 has in place of a type of scaling.
const freqsName = "rope_freqs.weight"

// The transition of Llama 3.1, which the tensor does not tell, and its context before.
const (
	llama3Low, llama3High = 1, 4
	llama3Original        = 8192
)

// rope reads how rotary positions are scaled. Without a type it is linear in llama.cpp, by a factor of 1 without a factor.
func (r *reader) rope(c *arch.Config, freqs []float32) {
	key := func(name string) string { return r.prefix + name }
	kind := "linear"
	if v, ok := r.meta[key(keyScaling)]; ok {
		kind, _ = v.(string)
	}
	r.used[key(keyScaling)], r.used[key(keyFinetuned)] = true, true
	factor := r.numberOr(key(keyFactor), r.numberOr(key(keyOldFactor), 1))
	original := r.integerOr(key(keyOriginal), 0)
	for _, name := range []string{"rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor", "rope.scaling.yarn_ext_factor"} {
		if x := r.numberOr(key(name), 1); x != 1 {
			r.bad("%s is %v, only 1 is supported", key(name), x)
		}
	}
	if x := r.numberOr(key("rope.scaling.yarn_log_multiplier"), 0); x != 0 {
		r.bad("%s is %v, only 0 is supported", key("rope.scaling.yarn_log_multiplier"), x)
	}
	switch {
	case kind == "yarn":
		if original == 0 {
			original = c.MaxSeqLen
		}
		c.Rope = arch.RopeScaling{
			Type: arch.RopeYaRN, Factor: factor, OriginalMaxSeqLen: original, AttentionFactor: arch.YaRNScale(factor, 1), Truncate: true,
			BetaFast: r.numberOr(key(keyBetaFast), 32), BetaSlow: r.numberOr(key(keyBetaSlow), 1),
		}
	case kind == "linear" && factor != 1:
		c.Rope = arch.RopeScaling{Type: arch.RopeLinear, Factor: factor}
	case kind == "none" && factor != 1:
		r.bad("%s is %v, but %s is none: remove the one that is wrong", key(keyFactor), factor, key(keyScaling))
	case kind != "linear" && kind != "none":
		r.bad("%s is %s, only none, linear and yarn are supported", key(keyScaling), shortValue(r.meta[key(keyScaling)]))
	}
	if freqs != nil {
		r.llama3(c, freqs, original)
	}
}

// llama3 finds the scaling of Llama 3.1 that has these divisors.
func (r *reader) llama3(c *arch.Config, freqs []float32, original int) {
	if c.Rope.Type != arch.RopeDefault {
		r.bad("tensor %q is there, and %s is %v too: remove the one that is wrong", freqsName, r.prefix+keyScaling, c.Rope.Type)
		return
	}
	if c.Family != arch.FamilyLlama {
		r.bad("tensor %q is not supported for a model of architecture %v", freqsName, c.Family)
		return
	}
	if original == 0 {
		original = llama3Original
	}
	var most float32
	for _, f := range freqs {
		most = max(most, f)
	}
	with := *c
	with.Rope = arch.RopeScaling{
		Type: arch.RopeLlama3, Factor: decimal(most), OriginalMaxSeqLen: original, LowFreqFactor: llama3Low, HighFreqFactor: llama3High,
	}
	want := ropeFreqs(with)
	same := len(want) == len(freqs) && with.Validate() == nil
	for i := 0; same && i < len(want); i++ {
		same = math.Abs(float64(want[i]-freqs[i])) <= 1e-5*float64(want[i])
	}
	if !same {
		r.bad("tensor %q does not scale rotary positions as Llama 3.1 does, with low_freq_factor %d, high_freq_factor %d and an original context of %d",
			freqsName, llama3Low, llama3High, original)
		return
	}
	c.Rope = with.Rope
}

// ropeFreqs are the divisors of the frequencies of a model with the scaling of Llama 3.1, nil for others.
func ropeFreqs(c arch.Config) []float32 {
	if c.Rope.Type != arch.RopeLlama3 {
		return nil
	}
	scaled, _ := c.Frequencies()
	c.Rope = arch.RopeScaling{}
	plain, _ := c.Frequencies()
	divisors := make([]float32, len(plain))
	for i := range divisors {
		divisors[i] = float32(plain[i] / scaled[i])
	}
	return divisors
}

// encodeRope adds the metadata of scaled rotary positions.
func encodeRope(m map[string]any, prefix string, c arch.Config) {
	s := c.Rope
	switch s.Type {
	case arch.RopeLinear:
		m[prefix+keyScaling], m[prefix+keyFactor] = "linear", float32(s.Factor)
	case arch.RopeYaRN:
		m[prefix+keyScaling], m[prefix+keyFactor] = "yarn", float32(s.Factor)
		if s.BetaFast != 32 || s.BetaSlow != 1 {
			m[prefix+keyBetaFast], m[prefix+keyBetaSlow] = float32(s.BetaFast), float32(s.BetaSlow)
		}
		m[prefix+keyOriginal] = uint32(s.OriginalMaxSeqLen)
	case arch.RopeLlama3:
		if s.OriginalMaxSeqLen != llama3Original {
			m[prefix+keyOriginal] = uint32(s.OriginalMaxSeqLen)
		}
	}
}
