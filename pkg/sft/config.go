package sft

import (
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Config of supervised fine-tuning. Take DefaultConfig and change what differs: a zero is never replaced by a default.
type Config struct {
	// Optim is AdamW; its learning rate is the peak. Paper 3.1: 2e-5, weight decay 0.1.
	Optim optim.Config
	// MinLRRatio is the end of the cosine as a share of the peak. The paper gives a cosine; 0.1 is that of section 2.2.
	MinLRRatio float64
	// WarmupSteps is the linear warm-up. The paper names none: 0.
	WarmupSteps int
	// Epochs is the number of passes over the examples. Paper 3.1: 2.
	Epochs int
	// BatchSize is the number of examples of an optimisation step. Paper 3.1: 64.
	BatchSize int
	// MicroTokens and MicroSegments are the budget of one micro-batch, which decides memory and not results.
	MicroTokens, MicroSegments int
	// Recompute keeps only what goes into each layer for the backward pass, which computes the rest once more: the intermediates of
	// 12 layers need a sixth of the memory, and a step takes up to a third longer. The bits are the same. Default false.
	Recompute bool
	// Seed of the order of the examples.
	Seed uint64
	// Loss is what is minimised; nil means NLL.
	Loss Loss `json:"-"`
	// Keep says where the run saves itself, to go on after a stop. Default: nowhere.
	Keep train.Keep `json:"-"`
	// OnStep is called after each optimisation step; nil means nobody is told.
	OnStep func(train.StepInfo) `json:"-"`
}

// DefaultConfig holds the paper's values (section 3.1).
func DefaultConfig() Config {
	return Config{
		Optim:         optim.DefaultConfig(2e-5),
		MinLRRatio:    0.1,
		Epochs:        2,
		BatchSize:     64,
		MicroTokens:   4096,
		MicroSegments: 64,
	}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	errs := []error{c.Optim.Validate(), c.Keep.Validate()}
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("sft: Config.%s is %v, want %s", field, value, want))
		}
	}
	check(c.MinLRRatio >= 0 && c.MinLRRatio <= 1, "MinLRRatio", c.MinLRRatio, "a share in [0, 1]")
	check(c.WarmupSteps >= 0, "WarmupSteps", c.WarmupSteps, "at least 0")
	check(c.Epochs >= 1, "Epochs", c.Epochs, "at least 1")
	check(c.BatchSize >= 1, "BatchSize", c.BatchSize, "at least 1")
	check(c.MicroTokens >= 2, "MicroTokens", c.MicroTokens, "at least 2")
	check(c.MicroSegments >= 1 && c.MicroSegments <= c.MicroTokens, "MicroSegments", c.MicroSegments, "1 to MicroTokens")
	return errors.Join(errs...)
}
