package losstest_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/losstest"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

// inputs are a part of ppo.LossInputs.
type inputs struct {
	LogProbs, OldLogProbs, Advantages *gorgonia.Node
	RefLogProbs                       *gorgonia.Node
	Entropy, Values, OldValues        *gorgonia.Node
	Returns, Mask, Hidden             *gorgonia.Node
	Segments, Layout                  *gorgonia.Node
	Scores, SegMask                   *gorgonia.Node
	Tokens, Seqs, Step                *gorgonia.Node
	Extra                             map[string]*gorgonia.Node
}

// recorder is a losstest.TB that remembers.
type recorder struct{ errs, logs []string }

func (r *recorder) Helper()                      {}
func (r *recorder) Logf(f string, args ...any)   { r.logs = append(r.logs, fmt.Sprintf(f, args...)) }
func (r *recorder) Errorf(f string, args ...any) { r.errs = append(r.errs, fmt.Sprintf(f, args...)) }

// fails runs a check and wants it to fail with that text.
func fails(t *testing.T, want string, check func(losstest.TB)) {
	t.Helper()
	var r recorder
	check(&r)
	if assert.NotEmpty(t, r.errs, "the check passed") {
		assert.Contains(t, r.errs[0], want)
	}
}

func random(seed uint64) losstest.Case {
	return losstest.RandomPPO(rand.New(rand.NewPCG(seed, 0)), 4, 7)
}

// clipped is the PPO objective plus a value and an entropy term.
func clipped(in inputs) (train.Terms, error) {
	x := ops.Expr(in.LogProbs.Graph())
	ratio := x.Exp(x.Sub(in.LogProbs, in.OldLogProbs))
	obj := x.Min(x.Mul(ratio, in.Advantages), x.Mul(x.Clamp(ratio, 0.8, 1.2), in.Advantages))
	value := x.Square(x.Sub(in.Values, in.Returns))
	loss := x.Sub(x.Scale(x.MaskedMean(value, in.Mask, in.Tokens), 0.05), x.MaskedMean(obj, in.Mask, in.Tokens))
	return train.Terms{
		Loss:    x.Sub(loss, x.Scale(x.MaskedMean(in.Entropy, in.Mask, in.Tokens), 0.01)),
		Metrics: []train.Metric{{Name: "val/ratio", Value: x.MaskedMean(ratio, in.Mask, in.Tokens)}},
	}, x.Err()
}

func TestEvalByHand(t *testing.T) {
	c := losstest.Case{
		Segments: []int32{0, 0, 0},
		Token: map[string][]float64{
			"LogProbs": {0, 1, 0}, "OldLogProbs": {0, 0, 0}, "Advantages": {1, 1, 0}, "Mask": {1, 1, 0},
			"Values": {0, 2, 0}, "Returns": {0, 0, 0}, "Entropy": {1, 3, 0},
		},
		Wrt: []string{"LogProbs", "Values"},
	}
	got, err := losstest.Eval(clipped, c)
	require.NoError(t, err)
	assert.InDelta(t, 0.05*4/2-(1+1.2)/2-0.01*4/2, got.Loss, 1e-15) // the second ratio, e, is clipped
	assert.InDelta(t, (1+math.E)/2, got.Metrics["val/ratio"], 1e-15)
	assert.Equal(t, []float64{-0.5, 0, 0}, got.Grads["LogProbs"])
	assert.Equal(t, []float64{0, 0.1, 0}, got.Grads["Values"])

	c.Float32 = true
	again, err := losstest.Eval(clipped, c)
	require.NoError(t, err)
	assert.InDelta(t, got.Loss, again.Loss, 1e-6)
	assert.NotEqual(t, got.Loss, again.Loss)
}

func TestGoodLossPasses(t *testing.T) {
	for seed := range uint64(5) {
		losstest.CheckGrad(t, clipped, random(seed))
		losstest.CheckMask(t, clipped, random(seed))
		losstest.CheckSplit(t, clipped, random(seed))
	}
}

// terms makes Terms of one loss.
func terms(x *ops.Builder, loss *gorgonia.Node) (train.Terms, error) {
	return train.Terms{Loss: loss}, x.Err()
}

func TestCheckMaskCatches(t *testing.T) {
	for name, c := range map[string]struct {
		loss func(inputs) (train.Terms, error)
		want string
	}{
		"multiplies by the mask": {func(in inputs) (train.Terms, error) {
			x := ops.Expr(in.Mask.Graph())
			return terms(x, x.Div(x.Sum(x.Mul(in.LogProbs, in.Mask)), in.Tokens))
		}, "NaN where nothing counts leaks through LogProbs: the loss is NaN"},
		"has no mask": {func(in inputs) (train.Terms, error) {
			x := ops.Expr(in.Mask.Graph())
			return terms(x, x.Sum(in.Values))
		}, "with zeros where nothing counts: the gradient of Values[0], which does not count, is 1"},
		"reads a constant column without its mask": {func(in inputs) (train.Terms, error) {
			x := ops.Expr(in.Mask.Graph())
			return terms(x, x.Add(x.MaskedSum(in.LogProbs, in.Mask), x.Sum(in.Advantages)))
		}, "leaks through Advantages: the loss is NaN"},
		"leaks into the gradient only": {func(in inputs) (train.Terms, error) {
			// d/dLogProbs of log(LogProbs^2) is NaN behind the mask times 0.
			x := ops.Expr(in.Mask.Graph())
			sq, err := gorgonia.HadamardProd(in.LogProbs, in.OldLogProbs)
			if err != nil {
				return train.Terms{}, err
			}
			return terms(x, x.MaskedSum(sq, in.Mask))
		}, "the gradient of LogProbs"},
		"leaks into a metric": {func(in inputs) (train.Terms, error) {
			x := ops.Expr(in.Mask.Graph())
			return train.Terms{
				Loss:    x.MaskedSum(in.LogProbs, in.Mask),
				Metrics: []train.Metric{{Name: "m", Value: x.Sum(in.Entropy)}},
			}, x.Err()
		}, `leaks through Entropy: the metric "m"`},
		"leaks into a gradient that counts": {func(in inputs) (train.Terms, error) {
			// The second term is 0, its gradient is the number of large advantages, counted or not.
			x := ops.Expr(in.Mask.Graph())
			m := x.MaskedSum(in.LogProbs, in.Mask)
			large := x.Sum(x.Greater(in.Advantages, x.Const(100, in.Advantages)))
			return terms(x, x.Add(m, x.Mul(x.Sub(m, x.Detach(m)), large)))
		}, "+Inf where nothing counts leaks through Advantages: the gradient of LogProbs["},
		"reads an unused segment": {func(in inputs) (train.Terms, error) {
			x := ops.Expr(in.Mask.Graph())
			return terms(x, x.Sum(in.Scores))
		}, "leaks through Scores"},
	} {
		t.Run(name, func(t *testing.T) {
			fails(t, c.want, func(tb losstest.TB) { losstest.CheckMask(tb, c.loss, random(1)) })
		})
	}
	fails(t, "no entry that a mask leaves out", func(tb losstest.TB) {
		losstest.CheckMask(tb, clipped, losstest.Case{Segments: []int32{0}, Token: map[string][]float64{
			"Mask": {1}, "LogProbs": {0}, "OldLogProbs": {0}, "Advantages": {0}, "Values": {0}, "Returns": {0}, "Entropy": {0}}})
	})
}

func TestCheckSplitCatches(t *testing.T) {
	perMicro := func(in inputs) (train.Terms, error) { // divides by the micro-batch's own count
		x := ops.Expr(in.Mask.Graph())
		return terms(x, x.Div(x.MaskedSum(in.LogProbs, in.Mask), x.Sum(in.Mask)))
	}
	fails(t, "every group alone: the loss is", func(tb losstest.TB) { losstest.CheckSplit(tb, perMicro, random(1)) })

	squared := func(in inputs) (train.Terms, error) { // does not add up
		x := ops.Expr(in.Mask.Graph())
		return terms(x, x.Square(x.MaskedSum(in.LogProbs, in.Mask)))
	}
	fails(t, "the loss is", func(tb losstest.TB) { losstest.CheckSplit(tb, squared, random(1)) })

	metric := func(in inputs) (train.Terms, error) {
		x := ops.Expr(in.Mask.Graph())
		return train.Terms{
			Loss:    x.MaskedMean(in.LogProbs, in.Mask, in.Tokens),
			Metrics: []train.Metric{{Name: "n", Value: x.Square(x.Sum(in.Mask))}},
		}, x.Err()
	}
	fails(t, `the metric "n"`, func(tb losstest.TB) { losstest.CheckSplit(tb, metric, random(1)) })
	gradient := func(in inputs) (train.Terms, error) { // 0, with a gradient that does not add up
		x := ops.Expr(in.Mask.Graph())
		m := x.MaskedSum(in.LogProbs, in.Mask)
		return terms(x, x.Mul(x.Sub(m, x.Detach(m)), x.Detach(m)))
	}
	fails(t, "the gradient of LogProbs[", func(tb losstest.TB) { losstest.CheckSplit(tb, gradient, random(1)) })
	fails(t, "1 groups of segments", func(tb losstest.TB) {
		losstest.CheckSplit(tb, clipped, losstest.RandomPPO(rand.New(rand.NewPCG(1, 1)), 1, 5))
	})
}

// pairScores is a case with the scores of pairs alone.
func pairScores(pairs int) losstest.Case {
	c := losstest.RandomPairs(rand.New(rand.NewPCG(1, 2)), pairs)
	c.Group, c.MaskOf, c.Wrt = nil, nil, []string{"Scores"}
	return c
}

// Pairs stay together, so a loss over differences of neighbours may be cut between them.
func TestCheckSplitKeepsGroups(t *testing.T) {
	ranking := func(in inputs) (train.Terms, error) {
		x := ops.Expr(in.Scores.Graph())
		margin := x.Sub(x.Stride(in.Scores, 0, 2), x.Stride(in.Scores, 1, 2))
		return terms(x, x.Neg(x.MaskedMean(x.LogSigmoid(margin), x.Stride(in.SegMask, 0, 2), in.Seqs)))
	}
	c := pairScores(5)
	losstest.CheckGrad(t, ranking, c)
	losstest.CheckMask(t, ranking, c)
	losstest.CheckSplit(t, ranking, c)

	c.Groups = nil // every segment alone
	fails(t, "the loss is", func(tb losstest.TB) { losstest.CheckSplit(tb, ranking, c) })
}

func TestSegmentLoss(t *testing.T) {
	loss := func(in inputs) (train.Terms, error) { // REINFORCE with one reward for each answer
		x := ops.Expr(in.Mask.Graph())
		logp := x.SegmentSum(in.LogProbs, in.Mask, in.Segments, in.Scores)
		return terms(x, x.Neg(x.MaskedMean(x.Mul(logp, in.Scores), in.SegMask, in.Seqs)))
	}
	for seed := range uint64(3) {
		losstest.CheckGrad(t, loss, random(seed))
		losstest.CheckMask(t, loss, random(seed))
		losstest.CheckSplit(t, loss, random(seed))
	}
}

func TestRowsAndExtra(t *testing.T) {
	c := random(3)
	n := len(c.Segments)
	hidden := make([]float64, 2*n)
	for i := range hidden {
		hidden[i] = math.Sin(float64(i))
	}
	c.Rows = map[string][]float64{"Hidden": hidden}
	c.Token["weight"] = make([]float64, n)
	for i := range n {
		c.Token["weight"][i] = float64(i)
	}
	c.Wrt = []string{"Hidden"}
	loss := func(in inputs) (train.Terms, error) {
		x := ops.Expr(in.Mask.Graph())
		rows := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(in.Hidden)), 1)) // (N)
		return terms(x, x.MaskedMean(x.Mul(rows, in.Extra["weight"]), in.Mask, in.Tokens))
	}
	got, err := losstest.Eval(loss, c)
	require.NoError(t, err)
	var want, count float64
	for i, m := range c.Token["Mask"] {
		want += m * float64(i) * (hidden[2*i]*hidden[2*i] + hidden[2*i+1]*hidden[2*i+1])
		count += m
	}
	assert.InDelta(t, want/count, got.Loss, 1e-12)
	losstest.CheckGrad(t, loss, c)
	losstest.CheckSplit(t, loss, c)
}

func TestEvalErrors(t *testing.T) {
	good := func(in inputs) (train.Terms, error) {
		x := ops.Expr(in.LogProbs.Graph())
		return terms(x, x.Sum(in.LogProbs))
	}
	base := func(change func(*losstest.Case)) losstest.Case {
		c := losstest.Case{Segments: []int32{0, 0}, Token: map[string][]float64{"LogProbs": {1, 2}}, Wrt: []string{"LogProbs"}}
		change(&c)
		return c
	}
	nothing := func(*losstest.Case) {}
	type fewer struct{ LogProbs *gorgonia.Node }
	eval := func(loss func(inputs) (train.Terms, error), change func(*losstest.Case)) error {
		_, err := losstest.Eval(loss, base(change))
		return err
	}
	boom := errors.New("boom")
	_, notField := losstest.Eval(func(in fewer) (train.Terms, error) { return train.Terms{}, nil },
		base(func(c *losstest.Case) { c.Token["Typo"] = []float64{1, 2} }))
	_, notStruct := losstest.Eval(func(int) (train.Terms, error) { return train.Terms{}, nil }, base(nothing))
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"length":   {eval(good, func(c *losstest.Case) { c.Token["Values"] = []float64{1} }), "Values has 1 entries, want 2"},
		"segments": {eval(good, func(c *losstest.Case) { c.Segments = []int32{1, 1} }), "Segments[0] is 1"},
		"gap":      {eval(good, func(c *losstest.Case) { c.Segments = []int32{0, 2} }), "Segments[1] is 2"},
		"mask":     {eval(good, func(c *losstest.Case) { c.Segments[1] = -1; c.Token["Mask"] = []float64{1, 1} }), "Mask[1] is 1 in an unused entry"},
		"wrt":      {eval(good, func(c *losstest.Case) { c.Wrt = []string{"X"} }), "Wrt names X"},
		"mask of": {eval(good, func(c *losstest.Case) { c.MaskOf = map[string]string{"LogProbs": "Known"} }),
			"MaskOf names Known as the mask of LogProbs"},
		"twice":      {eval(good, func(c *losstest.Case) { c.Rows = map[string][]float64{"LogProbs": {1, 2}} }), "two columns are named LogProbs"},
		"empty":      {eval(good, func(c *losstest.Case) { *c = losstest.Case{} }), "no columns"},
		"no field":   {notField, "Typo, which is no field of losstest_test.fewer (LogProbs)"},
		"no struct":  {notStruct, "want a struct"},
		"loss fails": {eval(func(inputs) (train.Terms, error) { return train.Terms{}, boom }, nothing), "boom"},
		"nil loss":   {eval(func(inputs) (train.Terms, error) { return train.Terms{}, nil }, nothing), "the loss is nil"},
		"vector": {eval(func(in inputs) (train.Terms, error) {
			return train.Terms{Loss: in.LogProbs}, nil
		}, nothing), "want a scalar"},
		"nil field": {eval(func(in inputs) (train.Terms, error) {
			return train.Terms{Loss: gorgonia.Must(gorgonia.Add(in.LogProbs, in.Values))}, nil
		}, nothing), "nil that the case has no column for"},
		"metric": {eval(func(in inputs) (train.Terms, error) {
			tm, err := good(in)
			tm.Metrics = []train.Metric{{Name: "m", Value: tm.Loss}, {Name: "m", Value: tm.Loss}}
			return tm, err
		}, nothing), `two metrics are named "m"`},
	} {
		assert.ErrorContains(t, c.err, c.want, name)
	}
	assert.ErrorIs(t, eval(func(inputs) (train.Terms, error) { return train.Terms{}, boom }, nothing), boom)
}

func TestRandomIsSeeded(t *testing.T) {
	assert.Equal(t, random(7), random(7))
	assert.NotEqual(t, random(7), random(8))
	assert.Equal(t, losstest.RandomSFT(rand.New(rand.NewPCG(1, 2)), 3, 4), losstest.RandomSFT(rand.New(rand.NewPCG(1, 2)), 3, 4))
	assert.Equal(t, []int32{0, 0, 1, 1, -1, -1}, losstest.RandomPairs(rand.New(rand.NewPCG(1, 2)), 2).Groups)
}
