package pretrain

import (
	"context"
	"testing"

	"github.com/tame-rlhf/tame/pkg/train/traintest"
)

// Pretraining is a stage, with evaluations and without.
func TestConformance(t *testing.T) {
	for name, evalEvery := range map[string]int{"plain": 0, "evaluation": 2} {
		t.Run(name, func(t *testing.T) {
			trained := func(ctx context.Context, run traintest.Run, docs [][]int32, change func(*Config)) ([]float32, any, error) {
				cfg := tinyConfig()
				cfg.Steps, cfg.EvalEvery = 6, evalEvery
				change(&cfg)
				cfg.Checkpointing, cfg.OnStep = run.Checkpointing, run.OnStep
				var heldOut [][]int32
				if evalEvery > 0 {
					heldOut = counting(5, 10)
				}
				p := tinyModel(t, 12)
				report, err := Train(ctx, p, docs, heldOut, cfg)
				return numbers(p), report, err
			}
			other := func(docs [][]int32, change func(*Config)) func(context.Context, traintest.Run) error {
				return func(ctx context.Context, run traintest.Run) error {
					_, _, err := trained(ctx, run, docs, change)
					return err
				}
			}
			traintest.Check(t, traintest.Stage{
				Name: "pretrain",
				Train: func(ctx context.Context, run traintest.Run) ([]float32, any, error) {
					return trained(ctx, run, counting(4, 20), func(*Config) {})
				},
				Others: map[string]func(context.Context, traintest.Run) error{
					"config field batch_tokens": other(counting(4, 20), func(c *Config) { c.BatchTokens++ }),
					"other content of data":     other(counting(5, 20), func(*Config) {}),
				},
			})
		})
	}
}
