package gatt

import (
	"errors"
	"fmt"
	"math"
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
	// Temperature of sampling. Default 1.
	Temperature float64
	// TopP keeps the smallest set of tokens with that probability. Default 1: all.
	TopP float64
	// MaxNewTokens is the length limit of an answer; 256.
	MaxNewTokens int
	// Stop ends an answer: the tokenizer's EOS.
	Stop []int32
	// Slots is the number of dialogues decoded side by side, which decides memory and not results:
	// each has keys and values for a whole dialogue with answers of MaxNewTokens, up to the model's
	// context. Default 32.
	Slots int
	// Seed of the random streams.
	Seed uint64
	// OnProgress is told the number of sampled turns and their total; nil means nobody is.
	OnProgress func(done, total int) `json:"-"`
}

// DefaultConfig holds the paper's values, and fills what it leaves open; Stop is the tokenizer's
// EOS and has to be set.
func DefaultConfig() Config {
	return Config{Repeat: true, ShortShare: 0.5, Temperature: 1, TopP: 1, MaxNewTokens: 256, Slots: 32}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("gatt: Config.%s is %v, want %s", field, value, want))
		}
	}
	check(c.ShortShare >= 0 && c.ShortShare <= 1, "ShortShare", c.ShortShare, "a share in [0, 1]")
	check(c.Temperature >= 0 && !math.IsInf(c.Temperature, 1), "Temperature", c.Temperature, "a number of at least 0 (0 is greedy)")
	check(c.TopP > 0 && c.TopP <= 1, "TopP", c.TopP, "a probability in (0, 1]")
	check(c.MaxNewTokens >= 1, "MaxNewTokens", c.MaxNewTokens, "at least 1")
	check(len(c.Stop) > 0, "Stop", c.Stop, "the EOS of the tokenizer: a dialogue goes on after a finished answer only")
	check(c.Slots >= 1, "Slots", c.Slots, "at least 1")
	return errors.Join(errs...)
}
