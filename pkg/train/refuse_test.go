package train_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

func TestRunRefuses(t *testing.T) {
	tokens, counted := sequences(8, 2)
	p := tinyParams(tensor.Float32, 1)
	step := newStep(t, p, 32, 4, 1e-2)
	ctx := context.Background()
	before := numbers(p)

	_, err := step.Run(ctx, nil)
	assert.ErrorContains(t, err, "the batch is empty")
	_, err = step.Run(ctx, []*data.Ragged{data.NewRagged(32, 4)})
	assert.ErrorContains(t, err, "the batch is empty")
	_, err = step.Run(ctx, []*data.Ragged{ragged(t, 32, 4, tokens, make([][]bool, 2))})
	assert.ErrorIs(t, err, train.ErrNoTokens)
	_, err = step.Run(ctx, []*data.Ragged{ragged(t, 33, 4, tokens, counted)})
	assert.ErrorContains(t, err, "micro-batch 0")
	assert.Equal(t, before, numbers(p))
	assert.Zero(t, step.Done())

	// A micro-batch without counted tokens beside one that has some is fine.
	_, err = step.Run(ctx, []*data.Ragged{ragged(t, 32, 4, tokens, counted), ragged(t, 32, 4, tokens, make([][]bool, 2))})
	assert.NoError(t, err)
}

func TestNewStepRefuses(t *testing.T) {
	type parts struct {
		in    *model.Inputs
		terms train.Terms
		nets  []train.Network
	}
	for want, change := range map[string]func(*parts){
		"the loss is nil":                   func(p *parts) { p.terms.Loss = nil },
		`"loss" is (8), want a scalar`:      func(p *parts) { p.terms.Loss = p.in.Mask },
		`metric "m" is nil`:                 func(p *parts) { p.terms.Metrics[0] = train.Metric{Name: "m"} },
		"two metrics are named":             func(p *parts) { p.terms.Metrics = append(p.terms.Metrics, p.terms.Metrics[0]) },
		"another graph":                     func(p *parts) { p.in = model.NewInputs(tensor.Float32, 8, 2) },
		"no network":                        func(p *parts) { p.nets = nil },
		"it has no name":                    func(p *parts) { p.nets[0].Name = "" },
		"Trunk is nil":                      func(p *parts) { p.nets[0].Trunk = nil },
		"not those that Trunk":              func(p *parts) { p.nets[0].Params = p.nets[0].Params.Clone() },
		"Optim is nil":                      func(p *parts) { p.nets[0].Optim = nil },
		"AdamW.Beta1 is 2":                  func(p *parts) { p.nets[0].Optim.Beta1 = 2 },
		"Schedule is nil":                   func(p *parts) { p.nets[0].Schedule = nil },
		"Constant.Warmup is -1":             func(p *parts) { p.nets[0].Schedule = optim.Constant{Warmup: -1} },
		"MaxGradNorm is NaN":                func(p *parts) { p.nets[0].MaxGradNorm = math.NaN() },
		"share a name":                      func(p *parts) { p.nets = append(p.nets, p.nets[0]) },
		"does not depend on network":        func(p *parts) { p.terms.Loss = ops.Expr(p.in.G).Sum(p.in.Mask) },
		"the weights were changed after":    func(p *parts) { p.nets[0].Params.AddHead(nil) },
		"differentiated before":             func(p *parts) { _, _ = gorgonia.Grad(p.terms.Loss, p.nets[0].Trunk.ParamNodes()...) },
		"want a number of at least 0":       func(p *parts) { p.nets[0].Schedule = badSchedule{} },
		"inputs are nil":                    func(p *parts) { p.in = nil },
		`"m" is (8), want a scalar: sum it`: func(p *parts) { p.terms.Metrics[0] = train.Metric{Name: "m", Value: p.in.Mask} },
	} {
		in := model.NewInputs(tensor.Float32, 8, 2)
		trunk, err := model.NewTrunk(in, tinyParams(tensor.Float32, 1), "policy")
		require.NoError(t, err)
		terms, err := nll(in, trunk)
		require.NoError(t, err)
		p := parts{in, terms, []train.Network{policy(trunk, 1e-3)}}
		change(&p)
		step, err := train.NewStep(p.in, p.terms, p.nets, train.Options{})
		if err == nil {
			_, err = step.Run(context.Background(), []*data.Ragged{ragged(t, 8, 2, [][]int32{{1, 2}}, [][]bool{{true, true}})})
		}
		assert.ErrorContains(t, err, want)
	}
}

type badSchedule struct{}

func (badSchedule) LR(int) float64 { return math.NaN() }

func TestBuildCatchesPanics(t *testing.T) {
	_, err := train.Build(func(int) (train.Terms, error) { panic("no such column") }, 1)
	assert.EqualError(t, err, "train: the loss panics: no such column")
}

// A metric of a loss cannot take the place of a number that Fit itself reports.
func TestFitRefusesItsOwnNames(t *testing.T) {
	for name, free := range map[string]bool{"num_tokens": false, "learning_rate": false, "grad_norm": false, "epoch": false, "eval/x": false, "epochs": true} {
		s := settings()
		tk := task(t, s, nil)
		tk.Steps = 1
		loss := tk.Loss
		tk.Loss = func(g train.Graph) (train.Terms, error) {
			terms, err := loss(g)
			terms.Metrics = append(terms.Metrics, train.Metric{Name: name, Value: terms.Loss})
			return terms, err
		}
		_, err := train.Fit(t.Context(), tinyParams(tensor.Float32, 1), tk, s)
		if free {
			assert.NoError(t, err)
			continue
		}
		assert.ErrorContains(t, err, `the metric "`+name+`" has a name that training itself reports`)
	}
}
