package rewardmodel

import (
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/setting"
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
	// WarmupRatio and MinWarmupSteps: the warm-up is that share of all steps, but at least so many. Paper 3.2.2: 3 %, 5.
	WarmupRatio    float64
	MinWarmupSteps int
	// Margins is m(r), Table 27. Default LargeMargin: the paper says only that a margin is used; large is best for significantly better pairs in Table 28.
	Margins Margins
	// SafetyWeight is the weight of the auxiliary loss on safety labels; 0 turns it off. The paper uses one for the safety
	// model (section 3.2.2, Table 29) and does not give the weight: 0 here, 1 in SafetyConfig.
	SafetyWeight float64
	train.Passes
	train.Settings
	// Loss is what is minimised; nil means RankingLoss(SafetyWeight).
	Loss Loss `json:"-"`
}

// DefaultConfig holds the paper's values for the helpfulness model (section 3.2.2).
func DefaultConfig() Config {
	return Config{
		WarmupRatio:    0.03,
		MinWarmupSteps: 5,
		Margins:        LargeMargin,
		Passes:         train.Passes{Epochs: 1, BatchSize: 512},
		Settings:       train.DefaultSettings(1e-5),
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
	checks := setting.NewChecks("rewardmodel: Config")
	checks.Nested("", c.Settings.Validate())
	checks.Share("WarmupRatio", c.WarmupRatio)
	checks.AtLeast("MinWarmupSteps", c.MinWarmupSteps, 0)
	checks.NotNegative("SafetyWeight", c.SafetyWeight)
	checks.Nested("", c.Passes.Validate())
	checks.That(c.MicroSegments%2 == 0, "MicroSegments", c.MicroSegments, "an even number: a pair takes two")
	return checks.Err()
}

// warmup is the paper's rule for the number of warm-up steps.
func (c Config) warmup(total int) int {
	return max(int(c.WarmupRatio*float64(total)), c.MinWarmupSteps)
}
