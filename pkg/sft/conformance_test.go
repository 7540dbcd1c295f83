package sft

import (
	"context"
	"errors"
	"flag"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
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
					"config field seed":              other(tinyModel(t), examples, func(c *Config) { c.Seed++ }),
					"config field epochs":            other(tinyModel(t), examples, func(c *Config) { c.Epochs++ }),
					"config field frozen":            other(tinyModel(t), examples, func(c *Config) { c.Frozen = []string{"embed"} }),
					"other content of data":          other(tinyModel(t), examples[1:], nothing),
					"other content of start weights": other(moved, examples, nothing),
				},
			})
		})
	}
}

var flips = flag.Int("damage", 60, "number of bits that are flipped in a checkpoint, one at a time")

// Bits flipped at random in a checkpoint, and files cut off: none has an effect without a word.
func TestDamagedCheckpoints(t *testing.T) {
	examples := copies(4, 20)
	traintest.Damage(t, traintest.Stage{
		Name: "sft",
		Train: func(ctx context.Context, run traintest.Run) ([]float32, any, error) {
			p, cfg := tinyModel(t), tinyConfig()
			cfg.EvalEvery = 1
			cfg.Checkpointing, cfg.OnStep = run.Checkpointing, run.OnStep
			report, err := Train(ctx, p, examples, examples[:1], cfg)
			return numbers(p), report, err
		},
	}, *flips, *flips/5)
}

// A custom head on the hidden states, trained by a custom loss, is saved and restored with the run.
func TestCustomHead(t *testing.T) {
	trained := func(ctx context.Context, run traintest.Run, learn bool) ([]float32, any, error) {
		zeros := func(shape ...int) *tensor.Dense {
			return tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(shape...))
		}
		w, b := zeros(1, 16), zeros(1)
		cfg := tinyConfig()
		cfg.ExtraWeights = []optim.Param{{Name: "head.weight", Value: w, Decay: true}, {Name: "head.bias", Value: b}}
		cfg.LRFactors = []train.LRFactor{{Pattern: "head.*", Factor: 10}}
		if !learn {
			cfg.Frozen = []string{"head.weight"}
		}
		cfg.Loss = func(in LossInputs) (Terms, error) {
			score, err := ops.ScalarHead(in.Hidden, in.Extra["head.weight"], in.Extra["head.bias"], in.Layout)
			if err != nil {
				return Terms{}, err
			}
			terms, err := NLL(in)
			x := ops.Expr(in.LogProbs.Graph())
			miss := x.MaskedMean(x.Square(x.Sub(score, x.Detach(in.Entropy))), in.Mask, in.Tokens) // it learns to tell the entropy
			return Terms{Loss: x.Add(terms.Loss, miss), Metrics: []Metric{{Name: "miss", Value: miss}}}, errors.Join(err, x.Err())
		}
		cfg.Checkpointing, cfg.OnStep = run.Checkpointing, run.OnStep
		p := tinyModel(t)
		report, err := Train(ctx, p, copies(4, 20), nil, cfg)
		return slices.Concat(numbers(p), w.Float32s(), b.Float32s()), report, err
	}
	var misses []float64
	all, _, err := trained(t.Context(), traintest.Run{OnStep: func(i train.StepInfo) { misses = append(misses, i.Metrics["miss"]) }}, true)
	require.NoError(t, err)
	assert.Less(t, misses[5], misses[0]/2)
	assert.NotZero(t, all[len(all)-2], "the head's weight")
	traintest.Check(t, traintest.Stage{
		Name: "sft",
		Train: func(ctx context.Context, run traintest.Run) ([]float32, any, error) {
			return trained(ctx, run, true)
		},
		Others: map[string]func(context.Context, traintest.Run) error{
			"config field frozen": func(ctx context.Context, run traintest.Run) error {
				_, _, err := trained(ctx, run, false)
				return err
			},
		},
	})
}
