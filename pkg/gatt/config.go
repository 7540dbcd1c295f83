package gatt

import (
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Config of sampling dialogues and of making examples of them. Take DefaultConfig and change what
// differs: a zero is never replaced by a default.
type Config struct {
	// Repeat puts the instruction into every user message while answers are sampled, the first step
	// of Ghost Attention. Without it the instruction is in the first message only: that is how
	// a model is used, and how the paper's baseline is measured. Default true.
	Repeat bool
	// ShortShare is the share of examples whose instruction is in its shortened wording. Paper
	// A.3.5: half of the time, 0.5.
	ShortShare float64
	// EveryTurn is a variant of this package: the loss is taken on every answer of a dialogue, as
	// if each turn were the last one of an example of its own. Tokens see only what is before them,
	// so the losses of those examples add up to the loss on all answers of the one dialogue.
	// Without it the last answer counts alone, which is the paper's rule. Paper 3.3: the loss is 0
	// for all tokens of the previous turns, the assistant's messages included. Default false.
	EveryTurn bool
	// Sampling says how to sample. Stop has to be the tokenizer's EOS, because a dialogue continues
	// after a finished answer only. A slot has keys and values for a whole dialogue with answers of
	// MaxNewTokens, up to the model's context.
	generate.Sampling
}

// DefaultConfig holds the paper's values, and fills what it leaves open.
func DefaultConfig() Config {
	return Config{Repeat: true, ShortShare: 0.5, Sampling: generate.DefaultSampling()}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	check := setting.NewChecks("gatt: Config")
	check.Share("ShortShare", c.ShortShare)
	check.Nested("", c.Sampling.Validate())
	check.That(len(c.Stop) > 0, "Stop", c.Stop, "the EOS of the tokenizer: a dialogue continues after a finished answer only")
	return check.Err()
}
