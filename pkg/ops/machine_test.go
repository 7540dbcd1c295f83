package ops_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/ops"
)

// Gorgonia's own machine runs the operators too, gradients included, and gives the bits of
// pkg/exec.
func TestGorgoniaMachine(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	x, w := normal(rng, 8*5), normal(rng, 15)
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		c := opCase{"", []input{floats("x", true, x, 8, 5), floats("w", true, w, 3, 5), layout}, func(n nodes) (*gorgonia.Node, error) {
			y, err := ops.Linear(n["x"], n["w"], n["layout"])
			if err != nil {
				return nil, err
			}
			b := ops.Expr(n["x"].Graph())
			y = b.Exp(y)
			y = gorgonia.Must(gorgonia.Reshape(y, tensor.Shape{24}))
			return b.Sum(b.Clamp(y, 0.5, 2)), b.Err()
		}, -1}
		b := build(t, c, dt)
		b.run(t)

		vm := gorgonia.NewTapeMachine(b.y.Graph())
		defer func() { assert.NoError(t, vm.Close()) }()
		for _, n := range b.y.Graph().Inputs() {
			for _, in := range c.inputs {
				if in.name == n.Name() {
					require.NoError(t, gorgonia.Let(n, valueOf(in, dt)))
				}
			}
			if n.Value() == nil {
				require.NoError(t, gorgonia.Let(n, valueOf(floats("", false, make([]float64, shapeOf(n).TotalSize()), shapeOf(n)...), dt)))
			}
		}
		require.NoError(t, vm.RunAll())
		for name, n := range b.grads {
			buf, err := ops.BufferOf(n.Value())
			require.NoError(t, err)
			want, err := b.prog.Buffer(n)
			require.NoError(t, err)
			assert.Equal(t, want, buf, name)
		}
	}
}

// A constant has the dtype of what it stands next to, whatever else the graph holds.
func TestConst(t *testing.T) {
	g := gorgonia.NewGraph()
	single := gorgonia.NewVector(g, tensor.Float32, gorgonia.WithShape(3), gorgonia.WithName("single"))
	double := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(3), gorgonia.WithName("double"))
	ints := gorgonia.NewVector(g, tensor.Int32, gorgonia.WithShape(3), gorgonia.WithName("ints"))
	x := ops.Expr(g)
	assert.Equal(t, tensor.Float64, x.Const(0.1, double).Dtype())
	assert.Equal(t, tensor.Float32, x.Const(0.1, single).Dtype())
	require.NoError(t, x.Err())
	assert.Nil(t, x.Const(1, ints))
	assert.EqualError(t, x.Err(), "ops: Const: like is (3) int32, want float32 or float64")
	x = ops.Expr(g)
	assert.Nil(t, x.Const(1, nil))
	assert.EqualError(t, x.Err(), "ops: Const: like is nil")
}
