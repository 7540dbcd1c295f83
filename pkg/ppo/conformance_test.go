package ppo

import (
	"context"
	"testing"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/train/traintest"
)

// PPO is a stage, with a critic and with a shared trunk. A run that is stopped within an iteration is saved as it was before it.
func TestConformance(t *testing.T) {
	for name, shared := range map[string]bool{"critic": false, "shared trunk": true} {
		t.Run(name, func(t *testing.T) {
			trained := func(ctx context.Context, run traintest.Run, seed uint64, prompts, heldOut []data.TokenPrompt, more func(*Config)) ([]float32, any, error) {
				cfg := smallConfig()
				cfg.Iterations, cfg.EvalEvery, cfg.Epochs, cfg.KLControl, cfg.SharedTrunk = 5, 2, 2, KLAdaptive, shared
				policy, numbers := tinyModel(t, 9, 2, 1), weights
				var critic *model.Params
				if shared {
					policy.AddHead(nil)
				} else {
					cfg.CriticWarmup = 2
					critic = tinyCritic(t, 9, 1, seed)
					numbers = func(p *model.Params) []float32 { return append(weights(p), weights(critic)...) }
				}
				more(&cfg)
				cfg.Checkpointing, cfg.OnStep = run.Checkpointing, run.OnStep
				report, err := Train(ctx, policy, critic, prompts, heldOut, sevens, cfg)
				return numbers(policy), report, err
			}
			nothing := func(*Config) {}
			other := func(seed uint64, prompts, heldOut []data.TokenPrompt, more func(*Config)) func(context.Context, traintest.Run) error {
				return func(ctx context.Context, run traintest.Run) error {
					_, _, err := trained(ctx, run, seed, prompts, heldOut, more)
					return err
				}
			}
			prompts := somePrompts()
			others := map[string]func(context.Context, traintest.Run) error{
				"config field seed":      other(2, prompts, prompts, func(c *Config) { c.Seed++ }),
				"config field recompute": other(2, prompts, prompts, func(c *Config) { c.Recompute = true }),
				"other content of data":  other(2, prompts[1:], prompts, nothing),
				"content of data":        other(2, prompts, prompts[1:], nothing),
			}
			if !shared {
				others["other content of start weights"] = other(3, prompts, prompts, nothing)
			}
			traintest.Check(t, traintest.Stage{
				Name: "ppo",
				Train: func(ctx context.Context, run traintest.Run) ([]float32, any, error) {
					return trained(ctx, run, 2, prompts, prompts, nothing)
				},
				Others: others,
			})
		})
	}
}
