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
	loss := x.Neg(x.MaskedMean(obj, mask, x.Const(3)))
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
