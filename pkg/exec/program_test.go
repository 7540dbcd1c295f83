package exec_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// bindVector binds a float64 vector.
func bindVector(t *testing.T, p *exec.Program, n *gorgonia.Node, x []float64) {
	t.Helper()
	require.NoError(t, p.Bind(n, tensor.New(tensor.WithShape(len(x)), tensor.WithBacking(x))))
}

func scalar(t *testing.T, p *exec.Program, n *gorgonia.Node) float64 {
	t.Helper()
	v, err := p.Value(n)
	require.NoError(t, err)
	return float64(*v.(*gorgonia.F64))
}

// TestClippedObjective differentiates a clipped PPO objective, our operators and gorgonia's mixed, and compares with
// central differences.
func TestClippedObjective(t *testing.T) {
	g := gorgonia.NewGraph()
	vec := func(name string) *gorgonia.Node {
		return gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(4), gorgonia.WithName(name))
	}
	logp, old, adv, mask := vec("logp"), vec("old"), vec("adv"), vec("mask")
	x := ops.Expr(g)
	ratio := x.Exp(x.Sub(logp, old))
	obj := x.Min(x.Mul(ratio, adv), x.Mul(x.Clamp(ratio, 0.8, 1.2), adv))
	loss := x.Neg(x.MaskedMean(obj, mask, x.Const(3, obj)))
	require.NoError(t, x.Err())
	loss, err := gorgonia.Add(loss, gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(logp)))))
	require.NoError(t, err)
	grads, err := gorgonia.Grad(loss, logp)
	require.NoError(t, err)

	p, err := exec.Compile([]*gorgonia.Node{loss, grads[0]}, exec.Options{})
	require.NoError(t, err)
	at := []float64{-1.1, -0.4, -2.0, -0.7}
	bindVector(t, p, logp, at)
	bindVector(t, p, old, []float64{-1.0, -0.9, -1.95, math.NaN()})
	bindVector(t, p, adv, []float64{1, 2, -0.5, 1})
	bindVector(t, p, mask, []float64{1, 1, 1, 0})
	require.NoError(t, p.Run(context.Background()))
	v, err := p.Value(grads[0])
	require.NoError(t, err)
	got := append([]float64(nil), v.Data().([]float64)...)

	const h = 1e-6
	for i := range at {
		keep := at[i]
		at[i] = keep + h
		require.NoError(t, p.Run(context.Background()))
		up := scalar(t, p, loss)
		at[i] = keep - h
		require.NoError(t, p.Run(context.Background()))
		down := scalar(t, p, loss)
		at[i] = keep
		assert.InDelta(t, (up-down)/(2*h), got[i], 1e-8, "d/dlogp[%d]", i)
	}
}

// TestLossAllocatesNothing: losses built with ops.Expr run without allocation, gradients included.
func TestLossAllocatesNothing(t *testing.T) {
	g := gorgonia.NewGraph()
	logp := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(64), gorgonia.WithName("logp"))
	mask := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(64), gorgonia.WithName("mask"))
	x := ops.Expr(g)
	loss := x.Div(x.MaskedSum(x.Mul(x.Exp(logp), x.Clamp(logp, -1, 1)), mask), x.Const(64, logp))
	require.NoError(t, x.Err())
	grads, err := gorgonia.Grad(loss, logp)
	require.NoError(t, err)
	p, err := exec.Compile([]*gorgonia.Node{loss, grads[0]}, exec.Options{})
	require.NoError(t, err)
	bindVector(t, p, logp, make([]float64, 64))
	bindVector(t, p, mask, make([]float64, 64))
	ctx := context.Background()
	assert.Zero(t, testing.AllocsPerRun(20, func() {
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}))
}

// TestArenaIsReused: a chain of n operators needs room for two values, not n.
func TestArenaIsReused(t *testing.T) {
	g := gorgonia.NewGraph()
	a := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(1000), gorgonia.WithName("a"))
	x := ops.Expr(g)
	y := a
	for range 50 {
		y = x.Tanh(y)
	}
	total := x.Sum(y)
	require.NoError(t, x.Err())
	p, err := exec.Compile([]*gorgonia.Node{total}, exec.Options{})
	require.NoError(t, err)
	assert.LessOrEqual(t, p.ArenaBytes(), 2*8*1000+128)
}

func TestErrors(t *testing.T) {
	g := gorgonia.NewGraph()
	a := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(2), gorgonia.WithName("a"))
	x := ops.Expr(g)
	total := x.Sum(x.Log(a))
	require.NoError(t, x.Err())
	p, err := exec.Compile([]*gorgonia.Node{total}, exec.Options{CheckFinite: true})
	require.NoError(t, err)

	assert.EqualError(t, p.Run(context.Background()), "exec: input a is not bound")
	assert.EqualError(t, p.Bind(a, tensor.New(tensor.WithBacking([]float64{1, 2, 3}))), "exec: input a is (3) float64, want (2) float64")
	assert.EqualError(t, p.Bind(a, tensor.New(tensor.WithBacking([]float32{1, 2}))), "exec: input a is (2) float32, want (2) float64")

	bindVector(t, p, a, []float64{1, 0})
	var bad *exec.NonFiniteError
	require.ErrorAs(t, p.Run(context.Background()), &bad)
	assert.EqualError(t, bad, `exec: operator "log" in log(a) gives -Inf at position 1`)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	assert.ErrorIs(t, p.Run(ctx), context.Canceled)
	_, err = exec.Compile(nil, exec.Options{})
	assert.EqualError(t, err, "exec: no outputs")
}

// TestTimings: with the option on, every operator that ran is listed.
func TestTimings(t *testing.T) {
	g := gorgonia.NewGraph()
	a := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(2), gorgonia.WithName("a"))
	x := ops.Expr(g)
	total := x.Sum(x.Exp(a))
	require.NoError(t, x.Err())
	p, err := exec.Compile([]*gorgonia.Node{total}, exec.Options{Timing: true})
	require.NoError(t, err)
	bindVector(t, p, a, []float64{1, 0})
	require.NoError(t, p.Run(context.Background()))
	assert.Len(t, p.Timings(), 2)
}
