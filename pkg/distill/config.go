package distill

import (
	"errors"
	"fmt"
	"math"
)

// Config of distilling. Take DefaultConfig and change what differs: a zero is never replaced by a default.
type Config struct {
	// Samples is the number of answers with the pre-prompt, and of answers without it, for each prompt. They are compared one by
	// one. The paper does not give it: 1.
	Samples int
	// Temperature of both answers. The paper does not give it: 1.
	Temperature float64
	// TopP keeps the smallest set of tokens with that probability. Default 1: all.
	TopP float64
	// MaxNewTokens is the length limit of an answer; 256.
	MaxNewTokens int
	// Stop ends an answer: the tokenizer's EOS.
	Stop []int32
	// Slots is the number of sequences decoded side by side, which decides memory and not results; 32.
	Slots int
	// Filter keeps an answer only if it is scored above the original one (section 4.2.4). Without it every finished answer is kept: the
	// ablation. Default true.
	Filter bool
	// Seed of the random streams: of the answers, and of the draw of generic pre-prompts.
	Seed uint64
	// OnProgress is told the number of finished samples, of both kinds; nil means nobody is.
	OnProgress func(done, total int) `json:"-"`
}

// DefaultConfig is the paper's method; Stop is the tokenizer's EOS and has to be set.
func DefaultConfig() Config {
	return Config{Samples: 1, Temperature: 1, TopP: 1, MaxNewTokens: 256, Slots: 32, Filter: true}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("distill: Config.%s is %v, want %s", field, value, want))
		}
	}
	check(c.Samples >= 1, "Samples", c.Samples, "at least 1")
	check(c.Temperature > 0 && !math.IsInf(c.Temperature, 1), "Temperature", c.Temperature, "a positive number")
	check(c.TopP > 0 && c.TopP <= 1, "TopP", c.TopP, "a probability in (0, 1]")
	check(c.MaxNewTokens >= 1, "MaxNewTokens", c.MaxNewTokens, "at least 1")
	check(len(c.Stop) > 0, "Stop", c.Stop, "the EOS of the tokenizer: only finished answers are kept")
	check(c.Slots >= 1, "Slots", c.Slots, "at least 1")
	return errors.Join(errs...)
}
