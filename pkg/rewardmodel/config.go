package rewardmodel

import (
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Margins is m(rating), the gap that the ranking loss asks for at each step of the annotators' scale.
type Margins struct {
	Significantly float64 // of "significantly better"
	Better        float64 // of "better"
	Slightly      float64 // of "slightly better"
	Negligibly    float64 // of "negligibly better / unsure"
}

// Margin sets of Table 27.
var (
	NoMargin    = Margins{}
	SmallMargin = Margins{Significantly: 1, Better: 2.0 / 3, Slightly: 1.0 / 3, Negligibly: 0}
	LargeMargin = Margins{Significantly: 3, Better: 2, Slightly: 1, Negligibly: 0}
)

// Of is the margin of a rating.
func (m Margins) Of(r data.Rating) float64 {
	switch r {
	case data.SignificantlyBetter:
		return m.Significantly
	case data.Better:
		return m.Better
	case data.SlightlyBetter:
		return m.Slightly
	}
	return m.Negligibly
}

// Config of a reward model. Take DefaultConfig and change what differs: a zero is never replaced by a default.
type Config struct {
	// Optim is AdamW; its learning rate is the peak. Paper 3.2.2: 1e-5, 5e-6 for 70B.
	Optim optim.Config
	// MinLRRatio is the end of the cosine as a share of the peak. Paper 3.2.2: 0.1.
	MinLRRatio float64
	// WarmupRatio and MinWarmupSteps: the warm-up is that share of all steps, but at least so many. Paper 3.2.2: 3 %, 5.
	WarmupRatio    float64
	MinWarmupSteps int
	// Margins is m(r), Table 27. Default LargeMargin: the paper says only that a margin is used; large is best for significantly better pairs in Table 28.
	Margins Margins
	// SafetyWeight is the weight of the auxiliary loss on safety labels; 0 turns it off. The paper uses one for the safety
	// model (section 3.2.2, Table 29) and does not give the weight: 0 here, 1 in SafetyConfig.
	SafetyWeight float64
	// Epochs is the number of passes. Paper 3.2.2: 1, more over-fits.
	Epochs int
	// BatchSize is the number of pairs of an optimisation step. Paper 3.2.2: 512.
	BatchSize int
	// MicroTokens and MicroSegments are the budget of one micro-batch; a pair takes two segments, so the latter is even.
	MicroTokens, MicroSegments int
	// Recompute keeps only what goes into each layer for the backward pass, which computes the rest once more: the intermediates of
	// 12 layers need a sixth of the memory, and a step takes up to a third longer. The bits are the same. Default false.
	Recompute bool
	// Seed of the order of the pairs.
	Seed uint64
	// Loss is what is minimised; nil means RankingLoss(SafetyWeight).
	Loss Loss `json:"-"`
	// Keep says where the run saves itself, to go on after a stop. Default: nowhere.
	Keep train.Keep `json:"-"`
	// OnStep is called after each optimisation step; nil means nobody is told.
	OnStep func(train.StepInfo) `json:"-"`
}

// DefaultConfig holds the paper's values for the helpfulness model (section 3.2.2).
func DefaultConfig() Config {
	return Config{
		Optim:          optim.DefaultConfig(1e-5),
		MinLRRatio:     0.1,
		WarmupRatio:    0.03,
		MinWarmupSteps: 5,
		Margins:        LargeMargin,
		Epochs:         1,
		BatchSize:      512,
		MicroTokens:    4096,
		MicroSegments:  64,
	}
}

// SafetyConfig is DefaultConfig with the auxiliary safety loss.
func SafetyConfig() Config {
	cfg := DefaultConfig()
	cfg.SafetyWeight = 1
	return cfg
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	errs := []error{c.Optim.Validate(), c.Keep.Validate()}
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("rewardmodel: Config.%s is %v, want %s", field, value, want))
		}
	}
	check(c.MinLRRatio >= 0 && c.MinLRRatio <= 1, "MinLRRatio", c.MinLRRatio, "a share in [0, 1]")
	check(c.WarmupRatio >= 0 && c.WarmupRatio <= 1, "WarmupRatio", c.WarmupRatio, "a share in [0, 1]")
	check(c.MinWarmupSteps >= 0, "MinWarmupSteps", c.MinWarmupSteps, "at least 0")
	check(c.SafetyWeight >= 0, "SafetyWeight", c.SafetyWeight, "at least 0")
	check(c.Epochs >= 1, "Epochs", c.Epochs, "at least 1")
	check(c.BatchSize >= 1, "BatchSize", c.BatchSize, "at least 1")
	check(c.MicroSegments >= 2 && c.MicroSegments%2 == 0, "MicroSegments", c.MicroSegments, "an even number of at least 2")
	check(c.MicroTokens >= c.MicroSegments, "MicroTokens", c.MicroTokens, "at least MicroSegments")
	return errors.Join(errs...)
}

// warmup is the paper's rule for the number of warm-up steps.
func (c Config) warmup(total int) int {
	return min(max(int(c.WarmupRatio*float64(total)), c.MinWarmupSteps), total)
}
