package sft

import (
	"context"
	"testing"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/train"
	"github.com/tame-rlhf/tame/pkg/train/traintest"
)

// Supervised fine-tuning is a stage, with evaluations and without.
func TestConformance(t *testing.T) {
	examples, heldOut := copies(4, 20), copies(5, 6)
	for name, change := range map[string]func(*Config){
		"plain":      func(*Config) {},
		"evaluation": func(c *Config) { c.EvalEvery, c.LRFactors[0].Factor = 2, 3 },
	} {
		t.Run(name, func(t *testing.T) {
			trained := func(ctx context.Context, run traintest.Run, p *model.Params, examples []data.Example, more func(*Config)) ([]float32, any, error) {
				cfg := tinyConfig()
				cfg.LRFactors = []train.LRFactor{{Pattern: "embed", Factor: 1}}
				change(&cfg)
				more(&cfg)
				cfg.Checkpointing, cfg.OnStep = run.Checkpointing, run.OnStep
				held := heldOut
				if cfg.EvalEvery == 0 {
					held = nil
				}
				report, err := Train(ctx, p, examples, held, cfg)
				return numbers(p), report, err
			}
			nothing := func(*Config) {}
			other := func(p *model.Params, examples []data.Example, more func(*Config)) func(context.Context, traintest.Run) error {
				return func(ctx context.Context, run traintest.Run) error {
					_, _, err := trained(ctx, run, p.Clone(), examples, more)
					return err
				}
			}
			moved := tinyModel(t)
			moved.Get("norm").Value.Float32s()[0]++
			traintest.Check(t, traintest.Stage{
				Name: "sft",
				Train: func(ctx context.Context, run traintest.Run) ([]float32, any, error) {
					return trained(ctx, run, tinyModel(t), examples, nothing)
				},
				Others: map[string]func(context.Context, traintest.Run) error{
					"config field Seed":   other(tinyModel(t), examples, func(c *Config) { c.Seed++ }),
					"config field Epochs": other(tinyModel(t), examples, func(c *Config) { c.Epochs++ }),
					"config field Frozen": other(tinyModel(t), examples, func(c *Config) { c.Frozen = []string{"embed"} }),
					"the data":            other(tinyModel(t), examples[1:], nothing),
					"the start weights":   other(moved, examples, nothing),
				},
			})
		})
	}
}
