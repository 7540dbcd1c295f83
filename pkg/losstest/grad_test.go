package losstest_test

import (
	"hash"
	"hash/fnv"
	"io"
	"math"
	"testing"

	"github.com/chewxy/hm"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/losstest"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

// cube is an operator as a user might write it, x³ over a float64 vector, with the derivative factor*x².
type cube struct{ factor float64 }

func (c cube) Arity() int { return 1 }
func (c cube) Type() hm.Type {
	v := gorgonia.TensorType{Dims: 1, Of: tensor.Float64}
	return hm.NewFnType(v, v)
}
func (c cube) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	return in[0].(tensor.Shape).Clone(), nil
}
func (c cube) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	x := in[0].Data().([]float64)
	out := make([]float64, len(x))
	for i, e := range x {
		out[i] = e * e * e
	}
	return tensor.New(tensor.WithShape(len(x)), tensor.WithBacking(out)), nil
}
func (c cube) ReturnsPtr() bool      { return false }
func (c cube) CallsExtern() bool     { return false }
func (c cube) OverwritesInput() int  { return -1 }
func (c cube) WriteHash(h hash.Hash) { _, _ = io.WriteString(h, c.String()) }
func (c cube) Hashcode() uint32      { h := fnv.New32a(); c.WriteHash(h); return h.Sum32() }
func (c cube) String() string        { return "cube" }
func (c cube) DiffWRT(int) []bool    { return []bool{true} }
func (c cube) SymDiff(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	x := ops.Expr(grad.Graph())
	d := x.Mul(grad, x.Scale(x.Square(in[0]), c.factor))
	return gorgonia.Nodes{d}, x.Err()
}

func TestCheckGradCatchesAWrongBackward(t *testing.T) {
	loss := func(factor float64) func(inputs) (train.Terms, error) {
		return func(in inputs) (train.Terms, error) {
			x := ops.Expr(in.LogProbs.Graph())
			y, err := gorgonia.ApplyOp(cube{factor}, in.LogProbs)
			if err != nil {
				return train.Terms{}, err
			}
			return terms(x, x.MaskedMean(y, in.Mask, in.Tokens))
		}
	}
	c := random(1)
	c.Wrt = []string{"LogProbs"}
	losstest.CheckGrad(t, loss(3), c)
	fails(t, "entries are wrong: LogProbs[", func(tb losstest.TB) { losstest.CheckGrad(tb, loss(3.0001), c) })
	fails(t, "entries are wrong: LogProbs[", func(tb losstest.TB) { losstest.CheckGrad(tb, loss(-3), c) })
}

func TestCheckGradCatchesADetachedFactor(t *testing.T) {
	loss := func(in inputs) (train.Terms, error) { // x² with the derivative x
		x := ops.Expr(in.Values.Graph())
		return terms(x, x.MaskedSum(x.Mul(x.Detach(in.Values), in.Values), in.Mask))
	}
	c := random(2)
	c.Wrt = []string{"Values"}
	fails(t, "entries are wrong: Values[", func(tb losstest.TB) { losstest.CheckGrad(tb, loss, c) })
	c.Wrt = nil
	fails(t, "Wrt is empty", func(tb losstest.TB) { losstest.CheckGrad(tb, loss, c) })
}

func TestCheckGradLeavesKinksOut(t *testing.T) {
	loss := func(in inputs) (train.Terms, error) {
		x := ops.Expr(in.Values.Graph())
		return terms(x, x.Sum(x.Clamp(in.Values, -1, 1)))
	}
	// On the edge, closer to it than the step on either side, and away from it.
	c := losstest.Case{
		Segments: []int32{0, 0, 0, 0, 0},
		Token:    map[string][]float64{"Values": {1, -1 + 3e-6, 1 + 1e-6, 0.3, 2}},
		Wrt:      []string{"Values"},
	}
	var r recorder
	losstest.CheckGrad(&r, loss, c)
	assert.Empty(t, r.errs)
	require.Len(t, r.logs, 1)
	assert.Contains(t, r.logs[0], "kinks at Values[0]; Values[1]; Values[2]: not compared")

	c.Token["Values"] = []float64{1, 1, 1, -1, -1}
	fails(t, "nothing was compared", func(tb losstest.TB) { losstest.CheckGrad(tb, loss, c) })
}

func TestCheckGradWantsAFiniteLoss(t *testing.T) {
	loss := func(in inputs) (train.Terms, error) {
		x := ops.Expr(in.Values.Graph())
		return terms(x, x.Sum(x.Log(in.Values)))
	}
	c := losstest.Case{Segments: []int32{0}, Token: map[string][]float64{"Values": {-1}}, Wrt: []string{"Values"}}
	fails(t, "the loss is NaN", func(tb losstest.TB) { losstest.CheckGrad(tb, loss, c) })
	c.Token["Values"][0] = math.Inf(1)
	fails(t, "the loss is +Inf", func(tb losstest.TB) { losstest.CheckGrad(tb, loss, c) })
}

// A loss with a constant of one dtype does not build in the other. CheckMask builds both.
func TestCheckMaskBuildsBothDtypes(t *testing.T) {
	loss := func(in inputs) (train.Terms, error) {
		x := ops.Expr(in.Values.Graph())
		half, err := gorgonia.Mul(x.MaskedMean(in.Values, in.Mask, in.Tokens), gorgonia.NewConstant(0.5))
		return train.Terms{Loss: half}, err
	}
	losstest.CheckGrad(t, loss, random(1))
	fails(t, "building the loss", func(tb losstest.TB) { losstest.CheckMask(tb, loss, random(1)) })
}
