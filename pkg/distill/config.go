package distill

import (
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Config of distilling. Take DefaultConfig and change what differs: a zero is never replaced by a
// default.
type Config struct {
	// Samples is the number of answers with the pre-prompt, and of answers without it, for each
	// prompt. They are compared one by one. The paper does not give it: 1.
	Samples int
	// Sampling says how to sample both answers. The paper does not give a temperature: 1. Stop has to
	// be the tokenizer's EOS, because only finished answers are kept. Seed keys the draw of generic
	// pre-prompts too.
	generate.Sampling
	// Filter keeps an answer only if it is scored above the original one (section 4.2.4). Without it
	// every finished answer is kept: the ablation. Default true.
	Filter bool
}

// DefaultConfig is the paper's method.
func DefaultConfig() Config {
	return Config{Samples: 1, Sampling: generate.DefaultSampling(), Filter: true}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	check := setting.NewChecks("distill: Config")
	check.AtLeast("Samples", c.Samples, 1)
	check.Nested("", c.Sampling.ValidateFinished(c.Samples, "kept"))
	return check.Err()
}
