package hf

import (
	"maps"
	"slices"

	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// originalLength is the context before its scaling. Some configs have it outside of the object, where it counts too.
const originalLength = "original_max_position_embeddings"

// ropeFields are the fields of rope_parameters and rope_scaling that a type has besides factor, "rope_type" or "type", and rope_theta.
var ropeFields = map[arch.RopeType][]string{
	arch.RopeYaRN:   {originalLength, "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"},
	arch.RopeLlama3: {originalLength, "low_freq_factor", "high_freq_factor"},
}

// rope reads the rotary positions: rope_theta and rope_scaling of transformers 4, rope_parameters of transformers 5, which has rope_theta
// inside. Where both are there they have to agree.
func (r *reader) rope(c *arch.Config) {
	c.RopeTheta = 1e4
	thetaFrom, scalingFrom := "", ""
	theta := func(in *file.Fields, of string) {
		if file.IsNull(in.Raw["rope_theta"]) {
			return
		}
		v := file.Field(in, "rope_theta", 0.0)
		if thetaFrom != "" && v != c.RopeTheta {
			r.Bad("%srope_theta is %v, but %s is %v: remove the one that is wrong", of, v, thetaFrom, c.RopeTheta)
		}
		c.RopeTheta, thetaFrom = v, of+"rope_theta"
	}
	r.Use("rope_theta", "rope_parameters", "rope_scaling", originalLength)
	theta(&r.Fields, "")
	for _, name := range []string{"rope_parameters", "rope_scaling"} {
		if file.IsNull(r.Raw[name]) {
			continue
		}
		inner, err := file.Object(r.Raw[name])
		if err != nil {
			r.Bad("%s: %w", name, err)
			continue
		}
		r.check(inner, name+".", ropeRules)
		in := &file.Fields{Raw: inner}
		theta(in, name+".")
		if s := r.scaling(in, c.MaxSeqLen); len(in.Errs) == 0 {
			if scalingFrom != "" && s != c.Rope {
				r.Bad("%s and %s differ: remove the one that is wrong", name, scalingFrom)
			}
			c.Rope, scalingFrom = s, name
		}
		for _, err := range in.Errs {
			r.Bad("%s.%w", name, err)
		}
	}
}

// scaling reads one of the objects.
func (r *reader) scaling(in *file.Fields, context int) (s arch.RopeScaling) {
	kind := file.Field(in, "type", "default")
	kind = file.Field(in, "rope_type", kind)
	if !file.IsNull(in.Raw["type"]) && kind != file.Field(in, "type", "") {
		in.Bad("rope_type is %q, but its type is %s: remove the one that is wrong", file.Short(kind), file.Short(string(in.Raw["type"])))
	}
	if s.Type.UnmarshalText([]byte(kind)) != nil {
		in.Bad("rope_type is %q, only default, linear, dynamic, yarn and llama3 are supported: the model was trained with other rotary positions", file.Short(kind))
		return s
	}
	known := append([]string{"type", "rope_type", "rope_theta", "partial_rotary_factor", "full_attention", windowAttention}, ropeFields[s.Type]...)
	if s.Type != arch.RopeDefault {
		known = append(known, "factor")
		s.Factor = in.Number("factor")
	}
	for _, name := range slices.Sorted(maps.Keys(in.Raw)) {
		if !slices.Contains(known, name) && !file.IsNull(in.Raw[name]) {
			in.Bad("%s is %s, which rotary positions of type %v do not have: remove it, or correct the type", file.Short(name), file.Short(string(in.Raw[name])), s.Type)
		}
	}
	switch s.Type {
	case arch.RopeLlama3:
		s.OriginalMaxSeqLen = r.originalLength(in, context)
		s.LowFreqFactor, s.HighFreqFactor = in.Number("low_freq_factor"), in.Number("high_freq_factor")
	case arch.RopeYaRN:
		s.OriginalMaxSeqLen = r.originalLength(in, context)
		s.BetaFast, s.BetaSlow = orDefault(in, "beta_fast", 32), orDefault(in, "beta_slow", 1)
		s.AttentionFactor = file.Field(in, "attention_factor", attentionFactor(in, s.Factor))
		s.Truncate = file.Field(in, "truncate", true)
	}
	return s
}

// originalLength reads the context before its scaling, which is the model's where nothing is said.
func (r *reader) originalLength(in *file.Fields, context int) int {
	outer := file.Field(&r.Fields, originalLength, context)
	n := file.Field(in, originalLength, outer)
	if n != outer && !file.IsNull(r.Raw[originalLength]) {
		in.Bad("%s is %d, but outside of the object it is %d: remove the one that is wrong", originalLength, n, outer)
	}
	return n
}

// orDefault is a number of which 0 stands for the default, as in transformers.
func orDefault(in *file.Fields, name string, def float64) float64 {
	if x := file.Field(in, name, def); x != 0 {
		return x
	}
	return def
}

// attentionFactor is yarn's where it is not given: by mscale and mscale_all_dim if there are both.
func attentionFactor(in *file.Fields, factor float64) float64 {
	if m, all := file.Field(in, "mscale", 0.0), file.Field(in, "mscale_all_dim", 0.0); m != 0 && all != 0 {
		return arch.YaRNScale(factor, m) / arch.YaRNScale(factor, all)
	}
	return arch.YaRNScale(factor, 1)
}

// encodeRope adds the fields of the rotary positions, for transformers before version 5 and since.
func encodeRope(h map[string]any, c arch.Config) {
	s := c.Rope
	scaling := map[string]any{"rope_type": s.Type.String()}
	if s.Type != arch.RopeDefault {
		scaling["factor"] = s.Factor
	}
	switch s.Type {
	case arch.RopeLlama3:
		scaling["low_freq_factor"], scaling["high_freq_factor"] = s.LowFreqFactor, s.HighFreqFactor
	case arch.RopeYaRN:
		scaling["beta_fast"], scaling["beta_slow"] = s.BetaFast, s.BetaSlow
		if s.AttentionFactor != arch.YaRNScale(s.Factor, 1) {
			scaling["attention_factor"] = s.AttentionFactor
		}
		scaling["truncate"] = s.Truncate
	}
	if s.OriginalMaxSeqLen > 0 {
		scaling[originalLength] = s.OriginalMaxSeqLen
	}
	h["rope_theta"], h["rope_scaling"] = c.RopeTheta, nil
	if s.Type != arch.RopeDefault {
		h["rope_scaling"] = maps.Clone(scaling)
	}
	scaling["rope_theta"] = c.RopeTheta
	h["rope_parameters"] = scaling
}
