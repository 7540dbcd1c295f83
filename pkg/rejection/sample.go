package rejection

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
)

// Prompt is what answers are sampled to.
type Prompt struct {
	ID     string  // keys the random stream and groups the answers of a pool
	Tokens []int32 // as data.Template.EncodePrompt gives them
	Safety bool    // tagged as a safety prompt
}

// Answer is one sampled answer with its reward.
type Answer struct {
	Prompt
	Answer      []int32 // the answer's ids, with EOS if Finished
	LogProbs    []float32
	Finished    bool
	Temperature float64
	Version     int // of the sampling model, Config.Version
	Sample      int // which of the prompt's samples
	Reward      float64
}

// Reward gives one number per answer, the higher the better; Answer.Reward is not set yet.
type Reward func(ctx context.Context, answers []Answer) ([]float64, error)

// Config of sampling. Take DefaultConfig and change what differs: a zero is never replaced by a default.
type Config struct {
	// Samples is K, the answers per prompt. The paper shows 1 to 100 (figure 7): 16.
	Samples int
	// Temperature of sampling. Figure 8: [1.2, 1.3] after RLHF, about 0.8 after SFT; see Tune. Default 1.
	Temperature float64
	// TopP keeps the smallest set of tokens with that probability. Default 1: all.
	TopP float64
	// MaxNewTokens is the length limit of an answer; 256.
	MaxNewTokens int
	// Stop ends an answer: the tokenizer's EOS.
	Stop []int32
	// Slots is the number of sequences decoded side by side, which decides memory and not results; 32.
	Slots int
	// Version is written into every answer: the RLHF version that samples.
	Version int
	// Seed of the random streams.
	Seed uint64
	// OnProgress is told the number of finished samples; nil means nobody is.
	OnProgress func(done, total int) `json:"-"`
}

// DefaultConfig fills what the paper leaves open; Stop is the tokenizer's EOS and has to be set.
func DefaultConfig() Config {
	return Config{Samples: 16, Temperature: 1, TopP: 1, MaxNewTokens: 256, Slots: 32}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("rejection: Config.%s is %v, want %s", field, value, want))
		}
	}
	check(c.Samples >= 1, "Samples", c.Samples, "at least 1")
	check(c.Temperature > 0 && !math.IsInf(c.Temperature, 1), "Temperature", c.Temperature, "a positive number")
	check(c.TopP > 0 && c.TopP <= 1, "TopP", c.TopP, "a probability in (0, 1]")
	check(c.MaxNewTokens >= 1, "MaxNewTokens", c.MaxNewTokens, "at least 1")
	check(len(c.Stop) > 0, "Stop", c.Stop, "the EOS of the tokenizer: only finished answers are chosen")
	check(c.Slots >= 1, "Slots", c.Slots, "at least 1")
	return errors.Join(errs...)
}

// Sample samples cfg.Samples answers to every prompt and scores them, prompt by prompt.
func Sample(ctx context.Context, p *model.Params, prompts []Prompt, reward Reward, cfg Config) ([]Answer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if len(prompts) == 0 {
		return nil, fmt.Errorf("rejection: prompts: %w", data.ErrEmpty)
	}
	if err := checkIDs(prompts); err != nil {
		return nil, err
	}
	requests := make([]generate.Request, len(prompts))
	for i, prompt := range prompts {
		requests[i] = generate.Request{Prompt: prompt.Tokens, ID: data.StreamKey(prompt.ID), Samples: cfg.Samples}
	}
	sampled, err := generate.Generate(ctx, p, requests, generate.Config{
		MaxNewTokens: cfg.MaxNewTokens, Temperature: cfg.Temperature, TopP: cfg.TopP,
		Stop: cfg.Stop, Seed: cfg.Seed, Slots: cfg.Slots,
	}, cfg.OnProgress)
	if err != nil {
		return nil, fmt.Errorf("rejection: %w", err)
	}
	answers := make([]Answer, 0, len(prompts)*cfg.Samples)
	for i, samples := range sampled {
		for k, s := range samples {
			answers = append(answers, Answer{
				Prompt: prompts[i], Answer: s.Tokens, LogProbs: s.LogProbs, Finished: s.Finished,
				Temperature: cfg.Temperature, Version: cfg.Version, Sample: k,
			})
		}
	}
	rewards, err := reward(ctx, answers)
	if err != nil {
		return nil, fmt.Errorf("rejection: reward: %w", err)
	}
	if len(rewards) != len(answers) {
		return nil, fmt.Errorf("rejection: reward gave %d numbers for %d answers", len(rewards), len(answers))
	}
	for i, r := range rewards {
		if math.IsNaN(r) {
			return nil, fmt.Errorf("rejection: the reward of sample %d of prompt %q is NaN", answers[i].Sample, answers[i].ID)
		}
		answers[i].Reward = r
	}
	return answers, nil
}

// checkIDs refuses prompts that share an ID without being the same: their answers would compete in Best.
func checkIDs(prompts []Prompt) error {
	first := map[string]int{}
	for i, p := range prompts {
		k, known := first[p.ID]
		if known && !slices.Equal(prompts[k].Tokens, p.Tokens) {
			return fmt.Errorf("rejection: prompts %d and %d differ and have the same ID %q: give each its own, such as data.DialogID", k, i, p.ID)
		}
		if !known {
			first[p.ID] = i
		}
	}
	return nil
}
