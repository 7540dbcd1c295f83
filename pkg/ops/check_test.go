package ops_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/exec"
)

// input is a node of a case with its values; grad says whether it is differentiated.
type input struct {
	name  string
	shape tensor.Shape
	x     []float64
	ints  []int32
	grad  bool
}

func floats(name string, grad bool, x []float64, shape ...int) input {
	return input{name: name, shape: shape, x: x, grad: grad}
}

func ints(name string, x ...int32) input {
	return input{name: name, shape: tensor.Shape{len(x)}, ints: x}
}

// opCase is an operator applied to inputs. unused is the first row of the result that has to be 0, by its flat index;
// -1 where the operator knows no unused rows.
type opCase struct {
	name   string
	inputs []input
	apply  func(n map[string]*gorgonia.Node) (*gorgonia.Node, error)
	unused int
}

// built is a case as a program of the result, a scalar Σ r_i y_i with random r, and the gradients of the scalar.
type built struct {
	prog  *exec.Program
	y     *gorgonia.Node
	loss  *gorgonia.Node
	grads map[string]*gorgonia.Node
	vals  map[string]*tensor.Dense
}

func build(t *testing.T, c opCase, dt tensor.Dtype) built {
	t.Helper()
	g := gorgonia.NewGraph()
	b := built{grads: map[string]*gorgonia.Node{}, vals: map[string]*tensor.Dense{}}
	nodes := map[string]*gorgonia.Node{}
	for _, in := range c.inputs {
		of := dt
		if in.ints != nil {
			of = tensor.Int32
		}
		if len(in.shape) == 0 {
			nodes[in.name] = gorgonia.NewScalar(g, of, gorgonia.WithName(in.name))
			continue
		}
		nodes[in.name] = gorgonia.NewTensor(g, of, len(in.shape), gorgonia.WithShape(in.shape...), gorgonia.WithName(in.name))
	}
	var err error
	b.y, err = c.apply(nodes)
	require.NoError(t, err)
	outputs := []*gorgonia.Node{b.y}

	weights := gorgonia.NewTensor(g, dt, max(b.y.Dims(), 1), gorgonia.WithShape(shapeOf(b.y)...), gorgonia.WithName("weights of the sum"))
	if b.y.IsScalar() {
		b.loss = b.y
	} else {
		b.loss = gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(b.y, weights))))
		outputs = append(outputs, b.loss)
	}
	var wrt []*gorgonia.Node
	for _, in := range c.inputs {
		if in.grad {
			wrt = append(wrt, nodes[in.name])
		}
	}
	if len(wrt) > 0 {
		grads, err := gorgonia.Grad(b.loss, wrt...)
		require.NoError(t, err)
		outputs = append(outputs, grads...)
		for i, k := 0, 0; i < len(c.inputs); i++ {
			if c.inputs[i].grad {
				b.grads[c.inputs[i].name] = grads[k]
				k++
			}
		}
	}
	b.prog, err = exec.Compile(outputs, exec.Options{})
	require.NoError(t, err)
	for _, in := range c.inputs {
		v := valueOf(in, dt)
		require.NoError(t, b.prog.Bind(nodes[in.name], v))
		if d, ok := v.(*tensor.Dense); ok {
			b.vals[in.name] = d
		}
	}
	if !b.y.IsScalar() {
		rng := rand.New(rand.NewPCG(5, 5))
		r := make([]float64, shapeOf(b.y).TotalSize())
		for i := range r {
			r[i] = rng.NormFloat64()
		}
		require.NoError(t, b.prog.Bind(weights, valueOf(floats("", false, r, shapeOf(b.y)...), dt)))
	}
	return b
}

func shapeOf(n *gorgonia.Node) tensor.Shape {
	if s := n.Shape(); len(s) > 0 {
		return s
	}
	return tensor.Shape{1}
}

func valueOf(in input, dt tensor.Dtype) gorgonia.Value {
	switch {
	case in.ints != nil:
		return tensor.New(tensor.WithShape(in.shape...), tensor.WithBacking(append([]int32(nil), in.ints...)))
	case len(in.shape) == 0 && dt == tensor.Float64:
		return gorgonia.NewF64(in.x[0])
	case len(in.shape) == 0:
		return gorgonia.NewF32(float32(in.x[0]))
	case dt == tensor.Float64:
		return tensor.New(tensor.WithShape(in.shape...), tensor.WithBacking(append([]float64(nil), in.x...)))
	}
	x := make([]float32, len(in.x))
	for i, v := range in.x {
		x[i] = float32(v)
	}
	return tensor.New(tensor.WithShape(in.shape...), tensor.WithBacking(x))
}

// get copies an output as float64.
func (b built) get(t *testing.T, n *gorgonia.Node) []float64 {
	t.Helper()
	buf, err := b.prog.Buffer(n)
	require.NoError(t, err)
	out := append([]float64(nil), buf.F64...)
	for _, v := range buf.F32 {
		out = append(out, float64(v))
	}
	return out
}

func (b built) run(t *testing.T) {
	t.Helper()
	require.NoError(t, b.prog.Run(context.Background()))
}

// check holds a case to the rules: gradients against central differences in float64, float32 against float64, unused
// rows exactly 0, a second run equal to the first, inputs unchanged.
func check(t *testing.T, c opCase) {
	b := build(t, c, tensor.Float64)
	b.run(t)
	y := b.get(t, b.y)
	if c.unused >= 0 {
		for i := c.unused; i < len(y); i++ {
			assert.Zero(t, y[i], "unused element %d", i)
		}
	}
	grads := map[string][]float64{}
	for name, n := range b.grads {
		grads[name] = b.get(t, n)
	}

	for _, in := range c.inputs {
		if in.grad {
			centralDifferences(t, b, in.name, grads[in.name])
		}
	}

	b.run(t)
	assert.Equal(t, y, b.get(t, b.y), "second run")
	for _, in := range c.inputs {
		if v := b.vals[in.name]; v != nil && in.ints == nil {
			assert.Equal(t, in.x, v.Float64s(), "input %s changed", in.name)
		} else if v != nil {
			assert.Equal(t, in.ints, v.Int32s(), "input %s changed", in.name)
		}
	}

	alone := c // without gradients, siblings that only they need are not there
	alone.inputs = append([]input(nil), c.inputs...)
	for i := range alone.inputs {
		alone.inputs[i].grad = false
	}
	forward := build(t, alone, tensor.Float64)
	forward.run(t)
	assert.Equal(t, y, forward.get(t, forward.y), "without gradients")

	single := build(t, c, tensor.Float32)
	single.run(t)
	assertClose(t, y, single.get(t, single.y), 1e-5, "result in float32")
	for name, n := range single.grads {
		assertClose(t, grads[name], single.get(t, n), 1e-5, "gradient of "+name+" in float32")
	}
}

// centralDifferences compares every element of the gradient by the largest of them.
func centralDifferences(t *testing.T, b built, name string, grad []float64) {
	t.Helper()
	x := b.vals[name].Float64s()
	const h = 1e-5
	numeric := make([]float64, len(x))
	for i, keep := range x {
		x[i] = keep + h
		b.run(t)
		up := b.get(t, b.loss)[0]
		x[i] = keep - h
		b.run(t)
		numeric[i] = (up - b.get(t, b.loss)[0]) / (2 * h)
		x[i] = keep
	}
	assertClose(t, numeric, grad, 1e-6, "gradient of "+name)
}

// assertClose bounds the difference relative to the norm of want, which a vector of zeros has at 1.
func assertClose(t *testing.T, want, got []float64, tolerance float64, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	norm, diff := 0.0, 0.0
	for i := range want {
		norm += want[i] * want[i]
		diff += (want[i] - got[i]) * (want[i] - got[i])
	}
	if norm == 0 {
		norm = 1
	}
	if e := math.Sqrt(diff / norm); !(e < tolerance) {
		assert.Fail(t, fmt.Sprintf("%s: relative error %.2g, want below %.2g\nwant %v\ngot  %v", what, e, tolerance, want, got))
	}
}

// normal draws n values.
func normal(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}
