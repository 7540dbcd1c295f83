package ops_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/ops"
)

var nan = math.NaN()

type unaryFunc func(x *ops.Builder, a *gorgonia.Node) *gorgonia.Node

// unaries are the element-wise functions with their definitions in plain Go. Points are away from kinks.
var unaries = []struct {
	name string
	f    unaryFunc
	want func(float64) float64
	at   []float64
}{
	{"neg", (*ops.Builder).Neg, func(x float64) float64 { return -x }, nil},
	{"exp", (*ops.Builder).Exp, math.Exp, nil},
	{"log", (*ops.Builder).Log, math.Log, []float64{0.1, 0.5, 1, 3, 20}},
	{"square", (*ops.Builder).Square, func(x float64) float64 { return x * x }, nil},
	{"sqrt", (*ops.Builder).Sqrt, math.Sqrt, []float64{0.1, 0.5, 1, 3, 20}},
	{"abs", (*ops.Builder).Abs, math.Abs, nil},
	{"tanh", (*ops.Builder).Tanh, math.Tanh, nil},
	{"sigmoid", (*ops.Builder).Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, nil},
	{"log sigmoid", (*ops.Builder).LogSigmoid, func(x float64) float64 { return -math.Log(1 + math.Exp(-x)) }, nil},
	{"softplus", (*ops.Builder).Softplus, func(x float64) float64 { return math.Log(1 + math.Exp(x)) }, nil},
	{"clamp", func(x *ops.Builder, a *gorgonia.Node) *gorgonia.Node { return x.Clamp(a, -0.5, 0.7) }, func(x float64) float64 { return math.Max(-0.5, math.Min(0.7, x)) }, nil},
	{"scale", func(x *ops.Builder, a *gorgonia.Node) *gorgonia.Node { return x.Scale(a, 2.5) }, func(x float64) float64 { return 2.5 * x }, nil},
	{"shift", func(x *ops.Builder, a *gorgonia.Node) *gorgonia.Node { return x.AddConst(a, 2.5) }, func(x float64) float64 { return x + 2.5 }, nil},
}

func TestUnary(t *testing.T) {
	for _, u := range unaries {
		t.Run(u.name, func(t *testing.T) {
			at := u.at
			if at == nil {
				at = []float64{-3, -1.1, -0.3, 0.2, 4}
			}
			c := opCase{u.name, []input{floats("a", true, at, len(at))}, func(n nodes) (*gorgonia.Node, error) {
				x := ops.Expr(n["a"].Graph())
				return u.f(x, n["a"]), x.Err()
			}, -1}
			check(t, c)
			b := build(t, c, tensor.Float64)
			b.run(t)
			for i, y := range b.get(t, b.y) {
				assert.InDelta(t, u.want(at[i]), y, 1e-12, "at %g", at[i])
			}
		})
	}
}

var binaries = []struct {
	name string
	f    func(x *ops.Builder, a, b *gorgonia.Node) *gorgonia.Node
	want func(a, b float64) float64
}{
	{"add", (*ops.Builder).Add, func(a, b float64) float64 { return a + b }},
	{"sub", (*ops.Builder).Sub, func(a, b float64) float64 { return a - b }},
	{"mul", (*ops.Builder).Mul, func(a, b float64) float64 { return a * b }},
	{"div", (*ops.Builder).Div, func(a, b float64) float64 { return a / b }},
	{"min", (*ops.Builder).Min, math.Min},
	{"max", (*ops.Builder).Max, math.Max},
	{"greater", (*ops.Builder).Greater, func(a, b float64) float64 {
		if a > b {
			return 1
		}
		return 0
	}},
}

// TestBinary runs every operator on two vectors and on a vector and a scalar, in both orders.
func TestBinary(t *testing.T) {
	a, b, scalar := []float64{-2, 0.5, 1, 3}, []float64{1.5, -0.7, 2, 0.4}, []float64{0.8}
	operands := []struct {
		name string
		a, b input
	}{
		{"vectors", floats("a", true, a, 4), floats("b", true, b, 4)},
		{"vector and scalar", floats("a", true, a, 4), floats("b", true, scalar)},
		{"scalar and vector", floats("a", true, scalar), floats("b", true, b, 4)},
	}
	for _, op := range binaries {
		for _, o := range operands {
			t.Run(fmt.Sprintf("%s of %s", op.name, o.name), func(t *testing.T) {
				if op.name == "greater" { // it has no gradient
					o.a.grad, o.b.grad = false, false
				}
				c := opCase{op.name, []input{o.a, o.b}, func(n nodes) (*gorgonia.Node, error) {
					x := ops.Expr(n["a"].Graph())
					return op.f(x, n["a"], n["b"]), x.Err()
				}, -1}
				check(t, c)
				b := build(t, c, tensor.Float64)
				b.run(t)
				for i, y := range b.get(t, b.y) {
					assert.InDelta(t, op.want(o.a.x[i%len(o.a.x)], o.b.x[i%len(o.b.x)]), y, 1e-12)
				}
			})
		}
	}
}

// TestScalarGradient differentiates by a scalar that is broadcast: the sum over the vector.
func TestScalarGradient(t *testing.T) {
	g := gorgonia.NewGraph()
	v := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(3), gorgonia.WithName("v"))
	s := gorgonia.NewScalar(g, tensor.Float64, gorgonia.WithName("s"))
	x := ops.Expr(g)
	loss := x.Sum(x.Mul(v, s))
	require.NoError(t, x.Err())
	grads, err := gorgonia.Grad(loss, s)
	require.NoError(t, err)
	p, err := exec.Compile(grads, exec.Options{})
	require.NoError(t, err)
	require.NoError(t, p.Bind(v, tensor.New(tensor.WithBacking([]float64{1, 2, 4}))))
	require.NoError(t, p.Bind(s, gorgonia.NewF64(3)))
	require.NoError(t, p.Run(context.Background()))
	out, err := p.Buffer(grads[0])
	require.NoError(t, err)
	assert.Equal(t, []float64{7}, out.F64)
}

// TestTies: on a tie of Min or Max the gradient goes to the first argument; Clamp passes it on its limits.
func TestTies(t *testing.T) {
	for name, f := range map[string]func(x *ops.Builder, a, b *gorgonia.Node) *gorgonia.Node{
		"min": (*ops.Builder).Min, "max": (*ops.Builder).Max,
		"clamp": func(x *ops.Builder, a, _ *gorgonia.Node) *gorgonia.Node { return x.Clamp(a, 1, 2) },
	} {
		c := opCase{name, []input{floats("a", true, []float64{1, 2}, 2), floats("b", name != "clamp", []float64{1, 2}, 2)}, func(n nodes) (*gorgonia.Node, error) {
			x := ops.Expr(n["a"].Graph())
			return x.Sum(f(x, n["a"], n["b"])), x.Err()
		}, -1}
		b := build(t, c, tensor.Float64)
		b.run(t)
		assert.Equal(t, []float64{1, 1}, b.get(t, b.grads["a"]), name)
		if name != "clamp" {
			assert.Equal(t, []float64{0, 0}, b.get(t, b.grads["b"]), name)
		}
	}
}

// Greater is strict: equal numbers give 0.
func TestGreaterByHand(t *testing.T) {
	c := opCase{"greater", []input{floats("a", false, []float64{1, 2, 3}, 3), floats("b", false, []float64{2, 2, 2}, 3)}, func(n nodes) (*gorgonia.Node, error) {
		x := ops.Expr(n["a"].Graph())
		return x.Greater(n["a"], n["b"]), x.Err()
	}, -1}
	b := build(t, c, tensor.Float64)
	b.run(t)
	assert.Equal(t, []float64{0, 0, 1}, b.get(t, b.y))
}

// TestReductions checks sums over masks and segments, with gradients, against what is written out here.
func TestReductions(t *testing.T) {
	v := []float64{1, 2, 4, 8, 16, 32}
	mask := floats("mask", false, []float64{1, 0, 1, 1, 0, 1}, 6)
	segments := ints("segments", 0, 0, 1, 1, 2, -1)
	like := floats("like", false, make([]float64, 4), 4)
	cases := []struct {
		name   string
		inputs []input
		f      func(x *ops.Builder, n nodes) *gorgonia.Node
		want   []float64
	}{
		{"sum", nil, func(x *ops.Builder, n nodes) *gorgonia.Node { return x.Sum(n["v"]) }, []float64{63}},
		{"masked sum", []input{mask}, func(x *ops.Builder, n nodes) *gorgonia.Node { return x.MaskedSum(n["v"], n["mask"]) }, []float64{45}},
		{"masked mean", []input{mask}, func(x *ops.Builder, n nodes) *gorgonia.Node {
			return x.MaskedMean(n["v"], n["mask"], x.Const(4, n["v"]))
		}, []float64{45.0 / 4}},
		{"segment sum", []input{mask, segments, like}, func(x *ops.Builder, n nodes) *gorgonia.Node {
			return x.SegmentSum(n["v"], n["mask"], n["segments"], n["like"])
		}, []float64{1, 12, 0, 0}},
		{"spread", []input{ints("where", 2, 0, -1, 5)}, func(x *ops.Builder, n nodes) *gorgonia.Node { return x.Spread(n["v"], n["where"]) }, []float64{4, 1, 0, 32}},
		{"spread to many", []input{ints("where", 2, 0, 2, -1, 2)}, func(x *ops.Builder, n nodes) *gorgonia.Node { return x.Spread(n["v"], n["where"]) }, []float64{4, 1, 4, 0, 4}},
		{"stride", nil, func(x *ops.Builder, n nodes) *gorgonia.Node { return x.Stride(n["v"], 1, 2) }, []float64{2, 8, 32}},
		{"where", []input{mask}, func(x *ops.Builder, n nodes) *gorgonia.Node { return x.Where(n["mask"], n["v"]) }, []float64{1, 0, 4, 8, 0, 32}},
	}
	minus := floats("mask", false, []float64{-1, 0, 0.5, 0, 0, 1}, 6)
	cases = append(cases, cases[len(cases)-1])
	last := &cases[len(cases)-1]
	last.name, last.inputs, last.want = "where the mask is any number but 0", []input{minus}, []float64{1, 0, 4, 0, 0, 32}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			oc := opCase{c.name, append([]input{floats("v", true, v, 6)}, c.inputs...), func(n nodes) (*gorgonia.Node, error) {
				x := ops.Expr(n["v"].Graph())
				return c.f(x, n), x.Err()
			}, -1}
			check(t, oc)
			b := build(t, oc, tensor.Float64)
			b.run(t)
			assert.Equal(t, c.want, b.get(t, b.y))
		})
	}
}

// TestNothingLeaksFromBehindTheMask puts NaN and Inf where the mask is 0, in front of every operator.
func TestNothingLeaksFromBehindTheMask(t *testing.T) {
	bad := []float64{0.5, nan, math.Inf(1), 0.3}
	mask := floats("mask", false, []float64{1, 0, 0, 1}, 4)
	for _, u := range unaries {
		c := opCase{u.name, []input{floats("a", true, bad, 4), mask}, func(n nodes) (*gorgonia.Node, error) {
			x := ops.Expr(n["a"].Graph())
			return x.MaskedSum(x.Mul(u.f(x, n["a"]), n["a"]), n["mask"]), x.Err()
		}, -1}
		b := build(t, c, tensor.Float64)
		b.run(t)
		g := b.get(t, b.grads["a"])
		assert.False(t, math.IsNaN(b.get(t, b.y)[0]), u.name)
		assert.Equal(t, []float64{0, 0}, g[1:3], u.name)
	}
}

func TestBuilderKeepsFirstError(t *testing.T) {
	g := gorgonia.NewGraph()
	a := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(3), gorgonia.WithName("a"))
	b := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(4), gorgonia.WithName("b"))
	x := ops.Expr(g)
	assert.Nil(t, x.Exp(x.Add(a, b)))
	assert.EqualError(t, x.Err(), "ops: plus: operand 1 is (4) float64, want (3) float64")
}

// Sums over the same tokens into tables of different size are different nodes: the size is an attribute.
func TestSegmentSumSizes(t *testing.T) {
	g := gorgonia.NewGraph()
	vector := func(name string, dt tensor.Dtype, n int) *gorgonia.Node {
		return gorgonia.NewVector(g, dt, gorgonia.WithShape(n), gorgonia.WithName(name))
	}
	v, mask, segments := vector("v", tensor.Float32, 6), vector("mask", tensor.Float32, 6), vector("segments", tensor.Int32, 6)
	x := ops.Expr(g)
	four := x.SegmentSum(v, mask, segments, vector("four", tensor.Float32, 4))
	five := x.SegmentSum(v, mask, segments, vector("five", tensor.Float32, 5))
	require.NoError(t, x.Err())
	assert.Equal(t, tensor.Shape{4}, four.Shape())
	assert.Equal(t, tensor.Shape{5}, five.Shape())
}
