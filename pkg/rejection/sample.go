package rejection

import (
	"context"
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Candidate is one sampled answer with its reward.
type Candidate struct {
	data.Answer
	Temperature float64
	Version     int // of the sampling model, Config.Version
	Index       int // which of the prompt's samples
	Reward      float64
}

// Config of sampling. Take DefaultConfig and change what differs: a zero is never replaced by a
// default.
type Config struct {
	// Samples is K, the answers per prompt. The paper shows 1 to 100 (figure 7): 16.
	Samples int
	// Sampling says how to sample. Figure 8 has temperatures in [1.2, 1.3] after RLHF and about 0.8
	// after SFT: see Tune. Stop has to be the tokenizer's EOS, because only finished answers are
	// chosen.
	generate.Sampling
	// Version is written into every answer: the RLHF version that samples.
	Version int
}

// DefaultConfig fills what the paper leaves open.
func DefaultConfig() Config {
	return Config{Samples: 16, Sampling: generate.DefaultSampling()}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	check := setting.NewChecks("rejection: Config")
	check.AtLeast("Samples", c.Samples, 1)
	check.Nested("", c.Sampling.ValidateFinished(c.Samples, "chosen"))
	return check.Err()
}

// Sample samples cfg.Samples answers to every prompt and scores them, prompt by prompt.
func Sample(ctx context.Context, p *model.Params, prompts []data.TokenPrompt, reward data.RewardFunc, cfg Config) ([]Candidate, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if len(prompts) == 0 {
		return nil, fmt.Errorf("rejection: prompts: %w", data.ErrEmpty)
	}
	err := data.CheckIDs(len(prompts), func(i int) (string, []int32) { return prompts[i].ID, prompts[i].Tokens })
	if err != nil {
		return nil, fmt.Errorf("rejection: %w", err)
	}
	answers, err := generate.Answers(ctx, p, prompts, cfg.Samples, cfg.Sampling, nil)
	if err != nil {
		return nil, fmt.Errorf("rejection: %w", err)
	}
	rewards, err := reward(ctx, answers)
	if err != nil {
		return nil, fmt.Errorf("rejection: reward: %w", err)
	}
	if len(rewards) != len(answers) {
		return nil, fmt.Errorf("rejection: reward gave %d numbers for %d answers", len(rewards), len(answers))
	}
	candidates := make([]Candidate, len(answers))
	for i, r := range rewards {
		k := i % cfg.Samples
		if math.IsNaN(r) {
			return nil, fmt.Errorf("rejection: the reward of sample %d of prompt %q is NaN", k, answers[i].Prompt.ID)
		}
		candidates[i] = Candidate{Answer: answers[i], Temperature: cfg.Temperature, Version: cfg.Version, Index: k, Reward: r}
	}
	return candidates, nil
}
