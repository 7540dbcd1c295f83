package train_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// However a batch is cut, in float64 the weights after three steps agree to 1e-10.
func TestMicroBatchesAddUp(t *testing.T) {
	tokens, counted := sequences(1, 6)
	var want []float64
	for _, per := range []int{6, 3, 4, 1} {
		p := tinyParams(tensor.Float64, 1)
		step := newStep(t, p, 64, 6, 1e-2)
		for range 3 {
			_, err := step.Run(context.Background(), batches(t, 64, 6, per, tokens, counted))
			require.NoError(t, err)
		}
		got := numbers(p)
		if want == nil {
			want = got
			continue
		}
		for i := range want {
			require.InDelta(t, want[i], got[i], 1e-10, "%d segments a micro-batch, weight %d", per, i)
		}
	}
}

// The same micro-batches give the same bits on any number of threads.
func TestThreadsDoNotMatter(t *testing.T) {
	tokens, counted := sequences(2, 6)
	var want []float64
	for _, threads := range []int{1, 2, 3} {
		old := runtime.GOMAXPROCS(threads)
		p := tinyParams(tensor.Float32, 1)
		step := newStep(t, p, 32, 4, 1e-2)
		for range 3 {
			_, err := step.Run(context.Background(), batches(t, 32, 4, 2, tokens, counted))
			require.NoError(t, err)
		}
		runtime.GOMAXPROCS(old)
		if want == nil {
			want = numbers(p)
		}
		assert.Equal(t, want, numbers(p), "%d threads", threads)
	}
}

func TestLossFalls(t *testing.T) {
	tokens, counted := sequences(3, 4)
	p := tinyParams(tensor.Float32, 2)
	step := newStep(t, p, 32, 4, 1e-2)
	micro := batches(t, 32, 4, 2, tokens, counted)
	var first, last train.Result
	for i := range 60 {
		r, err := step.Run(context.Background(), micro)
		require.NoError(t, err)
		if i == 0 {
			first = r
		}
		last = r
	}
	assert.InDelta(t, math.Log(11), first.Loss, 0.1, "a fresh model knows nothing")
	assert.Less(t, last.Loss, first.Loss/2)
	assert.Equal(t, 60, step.Done())
	assert.Equal(t, 59, last.Step)
}

// Two networks under one loss are trained as each would be alone.
func TestTwoNetworks(t *testing.T) {
	tokens, counted := sequences(4, 4)
	critic := func(in *model.Inputs, trunk *model.Trunk) *gorgonia.Node {
		scores, err := trunk.TokenScores()
		require.NoError(t, err)
		x := ops.Expr(in.G)
		n := x.MaskedMean(x.Square(x.AddConst(scores, -1)), in.Mask, in.Scalar(train.ScalarTokens))
		require.NoError(t, x.Err())
		return n
	}
	criticParams := func() *model.Params {
		p := tinyParams(tensor.Float64, 7)
		p.AddHead(nil)
		p.DropOutput()
		return p
	}
	criticNet := func(trunk *model.Trunk) train.Network {
		return train.Network{Name: "critic", Trunk: trunk, Optim: &optim.AdamW{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8},
			Schedule: optim.Constant{Peak: 3e-2, Warmup: 2}, MaxGradNorm: 0.5}
	}
	micro := batches(t, 32, 4, 2, tokens, counted)

	both, bothCritic := tinyParams(tensor.Float64, 1), criticParams()
	in := model.NewInputs(tensor.Float64, 32, 4)
	pi, err := model.NewTrunk(in, both, "policy")
	require.NoError(t, err)
	v, err := model.NewTrunk(in, bothCritic, "critic")
	require.NoError(t, err)
	terms, err := nll(in, pi)
	require.NoError(t, err)
	x := ops.Expr(in.G)
	terms.Loss = x.Add(terms.Loss, critic(in, v))
	require.NoError(t, x.Err())
	step, err := train.NewStep(in, terms, []train.Network{policy(pi, 1e-2), criticNet(v)}, train.Options{Timing: true})
	require.NoError(t, err)

	alone := tinyParams(tensor.Float64, 1)
	aloneStep := newStep(t, alone, 32, 4, 1e-2)

	aloneCritic := criticParams()
	in2 := model.NewInputs(tensor.Float64, 32, 4)
	v2, err := model.NewTrunk(in2, aloneCritic, "critic")
	require.NoError(t, err)
	criticStep, err := train.NewStep(in2, train.Terms{Loss: critic(in2, v2)}, []train.Network{criticNet(v2)}, train.Options{})
	require.NoError(t, err)

	for range 3 {
		r, err := step.Run(context.Background(), micro)
		require.NoError(t, err)
		a, err := aloneStep.Run(context.Background(), micro)
		require.NoError(t, err)
		c, err := criticStep.Run(context.Background(), micro)
		require.NoError(t, err)
		assert.InDelta(t, a.Loss+c.Loss, r.Loss, 1e-12)
		assert.InDelta(t, a.GradNorm["policy"], r.GradNorm["policy"], 1e-12)
		assert.InDelta(t, c.GradNorm["critic"], r.GradNorm["critic"], 1e-12)
		assert.Equal(t, c.LR["critic"], r.LR["critic"])
	}
	assert.InDeltaSlice(t, numbers(alone), numbers(both), 1e-12)
	assert.InDeltaSlice(t, numbers(aloneCritic), numbers(bothCritic), 1e-12)
	assert.NotEmpty(t, step.Timings())
}

// A loss that reads segments only, as a reward model's, needs no counted token, and a frozen trunk stays as it is.
func TestSegmentLossAndFrozenTrunk(t *testing.T) {
	tokens, _ := sequences(5, 4)
	p, ref := tinyParams(tensor.Float32, 1), tinyParams(tensor.Float32, 2)
	p.AddHead(nil)
	ref.AddHead(nil)
	ref.Get("score.bias").Value.Float32s()[0] = 2
	in := model.NewInputs(tensor.Float32, 32, 4)
	trunk, err := model.NewTrunk(in, p, "policy")
	require.NoError(t, err)
	frozen, err := model.NewTrunk(in, ref, "ref")
	require.NoError(t, err)
	scores, err := trunk.SegmentScores()
	require.NoError(t, err)
	target, err := frozen.SegmentScores()
	require.NoError(t, err)
	x := ops.Expr(in.G)
	loss := x.MaskedMean(x.Square(x.Sub(scores, target)), in.SegMask, in.Scalar(train.ScalarSeqs))
	require.NoError(t, x.Err())
	step, err := train.NewStep(in, train.Terms{Loss: loss}, []train.Network{policy(trunk, 5e-2)},
		train.Options{Frozen: []*model.Trunk{frozen}})
	require.NoError(t, err)

	before := numbers(ref)
	output := append([]float32(nil), p.Get("output").Value.Float32s()...)
	nothing := make([][]bool, len(tokens))
	var r train.Result
	for range 100 {
		r, err = step.Run(context.Background(), batches(t, 32, 4, 2, tokens, nothing))
		require.NoError(t, err)
	}
	assert.Zero(t, r.Tokens)
	assert.Less(t, r.Loss, 0.05)
	assert.Equal(t, before, numbers(ref))
	assert.Equal(t, output, p.Get("output").Value.Float32s(), "no gradient, no decay")
}

func TestCancelledStepChangesNothing(t *testing.T) {
	tokens, counted := sequences(6, 6)
	p := tinyParams(tensor.Float32, 1)
	step := newStep(t, p, 32, 4, 1e-2)
	micro := batches(t, 32, 4, 2, tokens, counted)
	_, err := step.Run(context.Background(), micro)
	require.NoError(t, err)
	before := numbers(p)
	for after := range 400 {
		ctx := &countdown{Context: context.Background(), left: after}
		if _, err = step.Run(ctx, micro); err == nil {
			require.Greater(t, after, 10, "the context was asked")
			return
		}
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 1, step.Done())
		require.Equal(t, before, numbers(p))
	}
	t.Fatal("the step never ran through")
}

// cancelling cancels a context when it is asked for the learning rate, the last thing before weights change.
type cancelling struct {
	optim.Constant
	cancel context.CancelFunc
}

func (c cancelling) LR(step int) float64 {
	c.cancel()
	return c.Constant.LR(step)
}

func TestCancelledAtTheLastMoment(t *testing.T) {
	tokens, counted := sequences(6, 2)
	p := tinyParams(tensor.Float32, 1)
	in := model.NewInputs(tensor.Float32, 32, 4)
	trunk, err := model.NewTrunk(in, p, "policy")
	require.NoError(t, err)
	terms, err := nll(in, trunk)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	net := policy(trunk, 1e-2)
	net.Schedule = cancelling{optim.Constant{Peak: 1}, cancel}
	step, err := train.NewStep(in, terms, []train.Network{net}, train.Options{})
	require.NoError(t, err)
	before := numbers(p)
	_, err = step.Run(ctx, batches(t, 32, 4, 2, tokens, counted))
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, before, numbers(p))
}

// The scalars that Run sets, as a loss sees them.
func TestScalars(t *testing.T) {
	tokens, counted := sequences(9, 4)
	in := model.NewInputs(tensor.Float32, 32, 4)
	trunk, err := model.NewTrunk(in, tinyParams(tensor.Float32, 1), "policy")
	require.NoError(t, err)
	terms, err := nll(in, trunk)
	require.NoError(t, err)
	for _, name := range []string{train.ScalarTokens, train.ScalarSeqs, train.ScalarStep, "own"} {
		terms.Metrics = append(terms.Metrics, train.Metric{Name: name, Value: in.Scalar(name)})
	}
	step, err := train.NewStep(in, terms, []train.Network{policy(trunk, 1e-2)}, train.Options{Scalars: map[string]float64{"own": 5}})
	require.NoError(t, err)
	micro := batches(t, 32, 4, 2, tokens, counted)
	want := 0.0
	for _, b := range micro {
		want += float64(b.Counted())
	}
	for i := range 3 {
		r, err := step.Run(context.Background(), micro)
		require.NoError(t, err)
		// Two micro-batches, and metrics add up.
		assert.Equal(t, 2*want, r.Metrics[train.ScalarTokens])
		assert.Equal(t, 2*4.0, r.Metrics[train.ScalarSeqs])
		assert.Equal(t, 2*float64(i), r.Metrics[train.ScalarStep])
		assert.Equal(t, 2*float64(5+i), r.Metrics["own"])
		step.SetScalar("own", float64(6+i))
	}
}

// countdown is a context that is cancelled after it was asked a number of times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestNonFinite(t *testing.T) {
	tokens, counted := sequences(7, 4)
	// build makes a step whose loss is NaN, or has a gradient that is, where the column "bad" is 1.
	build := func(t *testing.T, bad func(x *ops.Builder, logp, column *gorgonia.Node) *gorgonia.Node) (*train.Step, *model.Params) {
		p := tinyParams(tensor.Float32, 1)
		in := model.NewInputs(tensor.Float32, 32, 4)
		trunk, err := model.NewTrunk(in, p, "policy")
		require.NoError(t, err)
		logp, err := trunk.LogProbs()
		require.NoError(t, err)
		x := ops.Expr(in.G)
		loss := x.MaskedMean(bad(x, logp, in.TokenColumn("bad")), in.Mask, in.Scalar(train.ScalarTokens))
		require.NoError(t, x.Err())
		step, err := train.NewStep(in, train.Terms{Loss: loss}, []train.Network{policy(trunk, 1e-2)}, train.Options{})
		require.NoError(t, err)
		return step, p
	}
	micro := batches(t, 32, 4, 2, tokens, counted)
	for _, b := range micro {
		for i := range b.TokenColumn("bad") {
			b.TokenColumn("bad")[i] = 1
		}
	}
	slot := 0
	for micro[1].Mask[slot] == 0 {
		slot++
	}

	for name, c := range map[string]struct {
		bad  func(x *ops.Builder, logp, column *gorgonia.Node) *gorgonia.Node
		what string
		op   string
	}{
		"loss": {func(x *ops.Builder, logp, column *gorgonia.Node) *gorgonia.Node {
			return x.Mul(logp, x.Log(column)) // log of a negative number
		}, "loss", `"log": log(token/bad)`},
		"infinite loss, finite gradient": {func(x *ops.Builder, logp, column *gorgonia.Node) *gorgonia.Node {
			return x.Add(logp, x.Div(x.Const(1, column), x.AddConst(column, 1)))
		}, "loss", `"divide": divide(`},
		"gradient": {func(x *ops.Builder, logp, column *gorgonia.Node) *gorgonia.Node {
			// sqrt(0*logp) is 0, its derivative is 0*Inf.
			return x.Sqrt(x.Mul(x.Square(logp), x.AddConst(column, 1)))
		}, "gradient of policy/", `"sqrt backward": sqrt backward(times, sqrt, masked sum backward)`},
	} {
		t.Run(name, func(t *testing.T) {
			step, p := build(t, c.bad)
			before := numbers(p)
			micro[1].TokenColumn("bad")[slot] = -1
			_, err := step.Run(context.Background(), micro)
			require.ErrorIs(t, err, train.ErrNonFinite)
			var at *train.NonFiniteError
			require.ErrorAs(t, err, &at)
			assert.Equal(t, 0, at.Step)
			assert.Equal(t, 1, at.MicroBatch)
			assert.Contains(t, at.What, c.what)
			assert.Contains(t, err.Error(), "train: step 0: the "+c.what)
			assert.Contains(t, err.Error(), "in micro-batch 1, first in operator "+c.op)
			assert.Equal(t, before, numbers(p))

			// The step may be skipped: the next batch goes on.
			micro[1].TokenColumn("bad")[slot] = 1
			r, err := step.Run(context.Background(), micro)
			require.NoError(t, err)
			assert.Equal(t, 0, r.Step)
			assert.NotEqual(t, before, numbers(p))
		})
	}
}

func TestGrad(t *testing.T) {
	g := gorgonia.NewGraph()
	a, b, c := vector(g, "a", 2), vector(g, "b", 2), vector(g, "c", 2)
	x := ops.Expr(g)
	loss := x.Sum(x.Add(x.Square(a), x.Detach(b)))
	require.NoError(t, x.Err())
	grads, err := train.Grad(loss, []*gorgonia.Node{c, a, b})
	require.NoError(t, err)
	assert.Nil(t, grads[0], "not in the loss")
	assert.NotNil(t, grads[1])
	assert.Nil(t, grads[2], "detached")

	_, err = train.Grad(loss, []*gorgonia.Node{a})
	assert.ErrorContains(t, err, "differentiated before")
	_, err = train.Grad(nil, nil)
	assert.ErrorContains(t, err, "the loss is nil")
	_, err = train.Grad(a, []*gorgonia.Node{a})
	assert.ErrorContains(t, err, "want a scalar")
	_, err = train.Grad(x.Sum(c), []*gorgonia.Node{nil})
	assert.ErrorContains(t, err, "is nil")
	assert.False(t, errors.Is(err, train.ErrNonFinite))
}
