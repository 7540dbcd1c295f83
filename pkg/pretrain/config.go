package pretrain

import (
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Config of pretraining. Take DefaultConfig and change what differs: a zero is never replaced by a default.
type Config struct {
	// Optim is AdamW; its learning rate is the peak. Paper, table 1: 3e-4 (7B, 13B), 1.5e-4 (34B, 70B).
	Optim optim.Config
	// MinLRRatio is the end of the cosine as a share of the peak. Paper 2.2: 0.1.
	MinLRRatio float64
	// WarmupSteps is the linear warm-up. Paper 2.2: 2000.
	WarmupSteps int
	// Steps is the number of optimisation steps. Paper: 2T tokens in batches of 4M are 500,000.
	Steps int
	// BatchTokens is the number of tokens an optimisation step reads at least. Paper 2.2: 4M.
	BatchTokens int
	// MicroTokens and MicroSegments are the budget of one micro-batch, which decides memory and not results.
	MicroTokens, MicroSegments int
	// Recompute keeps only what goes into each layer for the backward pass, which computes the rest once more: the intermediates of
	// 12 layers need a sixth of the memory, and a step takes up to a third longer. The bits are the same. Default false.
	Recompute bool
	// Seed of the order of the documents.
	Seed uint64
	// Keep says where the run saves itself, to go on after a stop. Default: nowhere.
	Keep train.Keep `json:"-"`
	// OnStep is called after each optimisation step; nil means nobody is told.
	OnStep func(train.StepInfo) `json:"-"`
}

// DefaultConfig holds the paper's values (section 2.2, table 1).
func DefaultConfig() Config {
	return Config{
		Optim:         optim.DefaultConfig(3e-4),
		MinLRRatio:    0.1,
		WarmupSteps:   2000,
		Steps:         500_000,
		BatchTokens:   4_000_000,
		MicroTokens:   4096,
		MicroSegments: 64,
	}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	errs := []error{c.Optim.Validate(), c.Keep.Validate()}
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("pretrain: Config.%s is %v, want %s", field, value, want))
		}
	}
	check(c.MinLRRatio >= 0 && c.MinLRRatio <= 1, "MinLRRatio", c.MinLRRatio, "a share in [0, 1]")
	check(c.WarmupSteps >= 0, "WarmupSteps", c.WarmupSteps, "at least 0")
	check(c.Steps >= 1, "Steps", c.Steps, "at least 1")
	check(c.BatchTokens >= 1, "BatchTokens", c.BatchTokens, "at least 1")
	check(c.MicroTokens >= 2, "MicroTokens", c.MicroTokens, "at least 2")
	check(c.MicroSegments >= 1 && c.MicroSegments <= c.MicroTokens, "MicroSegments", c.MicroSegments, "1 to MicroTokens")
	return errors.Join(errs...)
}
