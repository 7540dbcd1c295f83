package sft

import (
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Config of supervised fine-tuning. Take DefaultConfig and change what differs: a zero is never
// replaced by a default.
type Config struct {
	// WarmupSteps is the linear warm-up. The paper names none: 0.
	WarmupSteps int
	train.Passes
	train.Settings
	// Loss is what is minimised; nil means NLL.
	Loss Loss `json:"-"`
}

// DefaultConfig holds the paper's values (section 3.1).
func DefaultConfig() Config {
	return Config{Passes: train.Passes{Epochs: 2, BatchSize: 64}, Settings: train.DefaultSettings(2e-5)}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	checks := setting.NewChecks("sft: Config")
	checks.Nested("", c.Settings.Validate())
	checks.AtLeast("WarmupSteps", c.WarmupSteps, 0)
	checks.Nested("", c.Passes.Validate())
	return checks.Err()
}
