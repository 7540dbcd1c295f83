package rewardmodel

import (
	"context"
	"testing"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/train/traintest"
)

// Reward modelling is a stage, with evaluations and without.
func TestConformance(t *testing.T) {
	for name, evalEvery := range map[string]int{"plain": 0, "evaluation": 2} {
		t.Run(name, func(t *testing.T) {
			trained := func(ctx context.Context, run traintest.Run, pairs []data.Pair, change func(*Config)) ([]float32, any, error) {
				cfg := tinyConfig()
				cfg.Epochs, cfg.BatchSize, cfg.EvalEvery = 2, 8, evalEvery
				change(&cfg)
				cfg.Checkpointing, cfg.OnStep = run.Checkpointing, run.OnStep
				var heldOut []data.Pair
				if evalEvery > 0 {
					heldOut = tastes(5, 10)
				}
				p := tinyModel(t)
				report, err := Train(ctx, p, pairs, heldOut, cfg)
				return numbers(p), report, err
			}
			other := func(pairs []data.Pair, change func(*Config)) func(context.Context, traintest.Run) error {
				return func(ctx context.Context, run traintest.Run) error {
					_, _, err := trained(ctx, run, pairs, change)
					return err
				}
			}
			traintest.Check(t, traintest.Stage{
				Name: "reward",
				Train: func(ctx context.Context, run traintest.Run) ([]float32, any, error) {
					return trained(ctx, run, tastes(4, 20), func(*Config) {})
				},
				Others: map[string]func(context.Context, traintest.Run) error{
					"config field margins.better": other(tastes(4, 20), func(c *Config) { c.Margins = SmallMargin }),
					"other content of data":       other(tastes(5, 20), func(*Config) {}),
				},
			})
		})
	}
}
