package pretrain

import (
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Config of pretraining. Take DefaultConfig and change what differs: a zero is never replaced by a
// default.
type Config struct {
	// WarmupSteps is the linear warm-up. Paper 2.2: 2000.
	WarmupSteps int
	// Steps is the number of optimisation steps. Paper: 2T tokens in batches of 4M are 500,000.
	Steps int
	// BatchTokens is the number of tokens an optimisation step reads at least. Paper 2.2: 4M.
	BatchTokens int
	train.Settings
}

// DefaultConfig holds the paper's values (section 2.2, table 1).
func DefaultConfig() Config {
	return Config{WarmupSteps: 2000, Steps: 500_000, BatchTokens: 4_000_000, Settings: train.DefaultSettings(3e-4)}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	checks := setting.NewChecks("pretrain: Config")
	checks.Nested("", c.Settings.Validate())
	checks.AtLeast("WarmupSteps", c.WarmupSteps, 0)
	checks.AtLeast("Steps", c.Steps, 1)
	checks.AtLeast("BatchTokens", c.BatchTokens, 1)
	return checks.Err()
}
