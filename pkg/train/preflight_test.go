package train_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Every item that training could not use is named before the first step.
func TestFitChecksItems(t *testing.T) {
	s := settings()
	s.OnStep = func(train.StepInfo) { t.Error("a step") }
	fails := func(change func(*train.Task[data.Example]), bad ...data.Example) error {
		list := append(examples(1, 3), bad...)
		source, err := train.NewEpochs(list, 2, 0)
		require.NoError(t, err)
		tk := task(t, s, nil)
		tk.Source = source
		if change != nil {
			change(&tk)
		}
		_, err = train.Fit(t.Context(), tinyParams(tensor.Float32, 1), tk, s)
		return err
	}
	unlearned := data.NewExample([]int32{1, 4, 5}, make([]bool, 3))
	err := fails(nil, unlearned, data.Join(nil, make([]int32, 33)), data.Join([]int32{1}, []int32{4, 99}))
	assert.ErrorIs(t, err, train.ErrNoTokens)
	assert.ErrorContains(t, err, "item 3: no token after the first has a weight above 0")
	assert.ErrorContains(t, err, "item 4: data: sequence has 33 tokens, the budget of a micro-batch is 32")
	assert.ErrorContains(t, err, "item 5: model: target 99 at slot 1, which counts as 1, is outside of the vocabulary")
	many := make([]data.Example, 12)
	for i := range many {
		many[i] = unlearned
	}
	assert.ErrorContains(t, fails(nil, many...), "and 2 more")

	err = fails(func(tk *train.Task[data.Example]) {
		tk.Lengths = func(e data.Example) []int { return []int{len(e.Tokens) - 1} }
	})
	assert.ErrorContains(t, err, "item 0: its segments have [")
	err = fails(func(tk *train.Task[data.Example]) { tk.Lengths = func(data.Example) []int { return nil } })
	assert.ErrorContains(t, err, "item 0: it has no segment by Lengths")
}

// A loss that counts no tokens may have items without any.
func TestFitItemsOfALossWithoutTokens(t *testing.T) {
	s := settings()
	tk := task(t, s, nil)
	source, err := train.NewEpochs([]data.Example{data.NewExample([]int32{1, 4, 5}, make([]bool, 3))}, 1, 0)
	require.NoError(t, err)
	tk.Source = source
	tk.Loss = func(g train.Graph) (train.Terms, error) {
		x := ops.Expr(g.In.G)
		return train.Terms{Loss: x.Sum(x.Square(g.Trunk.Hidden))}, x.Err()
	}
	_, err = train.Fit(t.Context(), tinyParams(tensor.Float32, 1), tk, s)
	assert.NoError(t, err)
}

// A weight that a loss has made for itself would never be trained.
func TestWeightThatNothingTrains(t *testing.T) {
	s := settings()
	tk := task(t, s, nil)
	inner := tk.Loss
	with := func(make func(g *gorgonia.ExprGraph) *gorgonia.Node) error {
		tk.Loss = func(g train.Graph) (train.Terms, error) {
			terms, err := inner(g)
			x := ops.Expr(g.In.G)
			terms.Loss = x.Mul(terms.Loss, make(g.In.G))
			return terms, err
		}
		_, err := train.Fit(t.Context(), tinyParams(tensor.Float32, 1), tk, s)
		return err
	}
	scale := float32(2)
	err := with(func(g *gorgonia.ExprGraph) *gorgonia.Node {
		return gorgonia.NewScalar(g, tensor.Float32, gorgonia.WithName("scale"), gorgonia.WithValue(scale))
	})
	assert.ErrorContains(t, err, `the loss depends on "scale"`)
	assert.ErrorContains(t, err, "Settings.ExtraWeights")
	require.NoError(t, with(func(g *gorgonia.ExprGraph) *gorgonia.Node { return gorgonia.NewConstant(scale) }))
}

// Patterns are checked before work too, and a factor that makes no sense is named.
func TestPatternsOfWeights(t *testing.T) {
	s := settings()
	s.Frozen, s.LRFactors = []string{"embed", "layer.*"}, []train.LRFactor{{Pattern: "head.*", Factor: 2}, {Pattern: "heads.*", Factor: 2}}
	s.ExtraWeights = []optim.Param{{Name: "head.weight"}}
	err := s.CheckPatterns(tinyParams(tensor.Float32, 1))
	var paths []string
	for _, f := range setting.Fields(err) {
		paths = append(paths, f.Path)
	}
	assert.Equal(t, []string{"Frozen[1]", "LRFactors[1]"}, paths)
	s.LRFactors[1].Factor = -1
	assert.ErrorContains(t, s.Validate(), "LRFactors[1] is heads.*=-1, want a factor of at least 0")
}

// The plan says what is going to happen, and what is rarely meant.
func TestPlan(t *testing.T) {
	s := settings()
	var plans []train.Plan
	s.OnPlan = func(p train.Plan) { plans = append(plans, p) }
	s.Frozen = []string{"embed"}
	tk := task(t, s, nil)
	tk.Steps, tk.Warmup = 6, 6
	tk.Fields = train.PlanFields{Owner: "x: Config", Warmup: "WarmupSteps", Steps: "BatchSize"}
	p := tinyParams(tensor.Float32, 1)
	report, err := train.Fit(t.Context(), p, tk, s)
	require.NoError(t, err)
	require.Len(t, plans, 1)
	plan := plans[0]
	assert.Equal(t, [4]int{12, 6, 6, report.Tokens}, [4]int{plan.Items, plan.Steps, plan.Warmup, plan.Tokens})
	assert.Equal(t, 2.0, plan.Epochs)
	assert.EqualValues(t, p.NumParams(), plan.Weights)
	assert.Equal(t, plan.Weights-len(p.Get("embed").Value.Float32s()), plan.Trained)
	assert.Equal(t, 4*plan.Weights, plan.Memory.Weights)
	assert.Contains(t, plan.String(), "6 steps on 12 items, 2 epochs, about ")

	text := func(p train.Plan) (all []string) {
		for _, w := range p.Warnings() {
			all = append(all, w.Error())
		}
		return all
	}
	assert.Equal(t, []string{
		"x: Config.WarmupSteps is 6, want less than the 6 steps of the run: the learning rate rises until the last one and never falls",
		"x: Config.BatchSize: the run has only 6 steps: most models need hundreds; make the batches smaller or the run longer",
	}, text(plan))
	assert.Empty(t, text(train.Plan{Steps: 20, Warmup: 19, Epochs: 50}))
	assert.Len(t, text(train.Plan{Steps: 20, Warmup: 20, Epochs: 50.5}), 2)
}

// What does not fit is refused before anything of its size is allocated.
func TestMaxMemory(t *testing.T) {
	s := settings()
	var plan train.Plan
	s.EvalEvery = 3
	s.OnPlan = func(p train.Plan) { plan = p }
	heldOut := examples(2, 2)
	_, err := train.Fit(t.Context(), tinyParams(tensor.Float32, 1), task(t, s, heldOut), s)
	require.NoError(t, err)
	m := plan.Memory
	assert.Positive(t, m.Evaluation)
	s.MaxMemory = m.Total()
	_, err = train.Fit(t.Context(), tinyParams(tensor.Float32, 1), task(t, s, heldOut), s)
	require.NoError(t, err)
	weights := m.Weights + m.Gradients + m.Moments
	for name, c := range map[string]struct {
		limit int
		want  train.Memory
	}{
		"weights":       {weights - 1, train.Memory{Weights: m.Weights, Gradients: m.Gradients, Moments: m.Moments}},
		"intermediates": {weights + m.Intermediates - 1, train.Memory{Weights: m.Weights, Gradients: m.Gradients, Moments: m.Moments, Intermediates: m.Intermediates}},
		"evaluation":    {m.Total() - 1, m},
	} {
		s.MaxMemory = c.limit
		_, err = train.Fit(t.Context(), tinyParams(tensor.Float32, 1), task(t, s, heldOut), s)
		var large *train.MemoryError
		require.ErrorAs(t, err, &large, name)
		assert.Equal(t, c.want, large.Memory, name)
	}
}

// Weights that the last step has made infinite are an error, and not a result.
func TestDiverged(t *testing.T) {
	s := settings()
	s.Optim.LearningRate, s.Optim.MaxGradNorm = 1e38, 0
	s.Optim.WeightDecay = 1e30
	tk := task(t, s, nil)
	tk.Steps = 1
	report, err := train.Fit(t.Context(), tinyParams(tensor.Float32, 1), tk, s)
	assert.Equal(t, 1, report.Steps)
	assert.ErrorIs(t, err, train.ErrNonFinite)
	assert.ErrorContains(t, err, "step 1 has left weights that are not numbers: model: number 0 of weight embed is ")
	assert.ErrorContains(t, err, "lower the learning rate")
}
