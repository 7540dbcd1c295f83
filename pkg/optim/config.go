package optim

import "github.com/tame-rlhf/tame/pkg/setting"

// Config is what a training stage lets its user choose about AdamW. Zero is zero, not a default.
type Config struct {
	// LearningRate is the peak of the schedule.
	LearningRate float64
	// Beta1 and Beta2 are the decays of the moments. Paper 2.2: 0.9 and 0.95.
	Beta1, Beta2 float64
	// Eps is added to the root of the second moment. Paper 2.2: 1e-5.
	Eps float64
	// WeightDecay shrinks matrices only. Paper 2.2: 0.1.
	WeightDecay float64
	// MaxGradNorm is the global norm that gradients are clipped at; 0 clips nothing. Paper 2.2: 1.0.
	MaxGradNorm float64
}

// DefaultConfig is the paper's AdamW (section 2.2) with the learning rate of a stage.
func DefaultConfig(learningRate float64) Config {
	return Config{LearningRate: learningRate, Beta1: 0.9, Beta2: 0.95, Eps: 1e-5, WeightDecay: 0.1, MaxGradNorm: 1}
}

// AdamW makes the optimiser.
func (c Config) AdamW() *AdamW {
	return &AdamW{Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, WeightDecay: c.WeightDecay}
}

// Cosine is the schedule from LearningRate down to minRatio of it at step total, after a linear warm-up.
func (c Config) Cosine(minRatio float64, warmup, total int) Cosine {
	return Cosine{Peak: c.LearningRate, Min: c.LearningRate * minRatio, Warmup: min(warmup, total), Total: total}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	check := setting.NewChecks("optim: Config")
	check.NotNegative("LearningRate", c.LearningRate)
	check.Nested("", c.AdamW().Validate())
	check.NotNegative("MaxGradNorm", c.MaxGradNorm)
	return check.Err()
}
