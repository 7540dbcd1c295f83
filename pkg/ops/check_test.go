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

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/ops"
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
	vals  map[string]backend.Buffer // of the inputs, and of r under ""
}

func build(t *testing.T, c opCase, dt tensor.Dtype) built {
	t.Helper()
	return buildSums(t, c, dt, false)
}

// buildSums makes a program that adds up the gradients over its runs, if sums is set.
func buildSums(t *testing.T, c opCase, dt tensor.Dtype, sums bool) built {
	t.Helper()
	g := gorgonia.NewGraph()
	b := built{grads: map[string]*gorgonia.Node{}, vals: map[string]backend.Buffer{}}
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
	var opt exec.Options
	if sums {
		for _, g := range b.grads {
			opt.Sums = append(opt.Sums, g)
		}
	}
	b.prog, err = exec.Compile(outputs, opt)
	require.NoError(t, err)
	for _, in := range c.inputs {
		v := valueOf(in, dt)
		require.NoError(t, b.prog.Bind(nodes[in.name], v))
		b.vals[in.name], err = ops.BufferOf(v)
		require.NoError(t, err)
	}
	if !b.y.IsScalar() {
		rng := rand.New(rand.NewPCG(5, 5))
		r := make([]float64, shapeOf(b.y).TotalSize())
		for i := range r {
			r[i] = rng.NormFloat64()
		}
		v := valueOf(floats("", false, r, shapeOf(b.y)...), dt)
		require.NoError(t, b.prog.Bind(weights, v))
		b.vals[""], err = ops.BufferOf(v)
		require.NoError(t, err)
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
// rows exactly 0, a second run equal to the first, inputs unchanged, unused rows without influence.
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

	again := func(when string) {
		b.run(t)
		assert.Equal(t, y, b.get(t, b.y), when)
		for name, n := range b.grads {
			assert.Equal(t, grads[name], b.get(t, n), "%s: gradient of %s", when, name)
		}
	}
	b.spoilResults(t)
	again("second run, over NaN")
	for _, in := range c.inputs {
		assert.Equal(t, in.x, b.vals[in.name].F64, "input %s changed", in.name)
		assert.Equal(t, in.ints, b.vals[in.name].I32, "input %s changed", in.name)
	}
	if c.unused >= 0 {
		b.spoilUnused(c)
		b.spoilResults(t)
		again("NaN in unused rows")
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

// spoilResults fills the memory of the results with NaN: an operator writes every element, those of unused rows too.
func (b built) spoilResults(t *testing.T) {
	t.Helper()
	results := []*gorgonia.Node{b.y, b.loss}
	for _, n := range b.grads {
		results = append(results, n)
	}
	for _, n := range results {
		buf, err := b.prog.Buffer(n)
		require.NoError(t, err)
		for i := range buf.F64 {
			buf.F64[i] = math.NaN()
		}
	}
}

// spoilUnused puts NaN, or an id that is none, into the rows of the inputs that are not used, and into the gradient that
// arrives at unused rows. An input with a row for each slot or segment is told by its number of rows.
func (b built) spoilUnused(c opCase) {
	for _, in := range c.inputs {
		from := map[int]int{slots: usedN, segs: usedS}[append(in.shape, 0)[0]] // 0 for others
		if from == 0 || in.name == "layout" {
			continue
		}
		v, width := b.vals[in.name], max(len(in.x), len(in.ints))/in.shape[0]
		for i := from * width; i < in.shape[0]*width; i++ {
			if v.F64 != nil {
				v.F64[i] = math.NaN()
			} else {
				v.I32[i] = 1 << 30
			}
		}
	}
	for i := c.unused; i < len(b.vals[""].F64); i++ {
		b.vals[""].F64[i] = math.NaN()
	}
}

// centralDifferences compares the gradient with the differences, as vectors.
func centralDifferences(t *testing.T, b built, name string, grad []float64) {
	t.Helper()
	x := b.vals[name].F64
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
