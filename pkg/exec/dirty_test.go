package exec

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/ops"
)

const allRows, usedRows, rowDim = 8, 5, 4

// rowsGraph has inputs filled at random, and a layout that uses some of the rows.
type rowsGraph struct {
	t       *testing.T
	g       *gorgonia.ExprGraph
	rng     *rand.Rand
	x       *gorgonia.Node
	layout  *gorgonia.Node
	weights gorgonia.Nodes
	values  map[*gorgonia.Node]gorgonia.Value
}

func newRowsGraph(t *testing.T) *rowsGraph {
	l := &rowsGraph{t: t, g: gorgonia.NewGraph(), rng: rand.New(rand.NewPCG(1, 2)), values: map[*gorgonia.Node]gorgonia.Value{}}
	l.x = l.floats("x", allRows, rowDim)
	l.layout = l.ints("layout", 2, 0, 3, usedRows)
	return l
}

func (l *rowsGraph) floats(name string, shape ...int) *gorgonia.Node {
	n := gorgonia.NewTensor(l.g, tensor.Float64, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	data := make([]float64, tensor.Shape(shape).TotalSize())
	for i := range data {
		data[i] = l.rng.NormFloat64()
	}
	l.values[n] = tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	return n
}

func (l *rowsGraph) ints(name string, data ...int32) *gorgonia.Node {
	n := gorgonia.NewTensor(l.g, tensor.Int32, 1, gorgonia.WithShape(len(data)), gorgonia.WithName(name))
	l.values[n] = tensor.New(tensor.WithShape(len(data)), tensor.WithBacking(data))
	return n
}

func (l *rowsGraph) weight(name string, shape ...int) *gorgonia.Node {
	n := l.floats(name, shape...)
	l.weights = append(l.weights, n)
	return n
}

func (l *rowsGraph) must(n *gorgonia.Node, err error) *gorgonia.Node {
	l.t.Helper()
	require.NoError(l.t, err)
	return n
}

// trunk is a layer of a net with every kind of operator, up to the log-probabilities of chosen rows and a scalar head.
func (l *rowsGraph) trunk() (logp, head *gorgonia.Node) {
	const heads, d, f, v = 2, 2, 3, 7
	norm := l.must(ops.RMSNorm(l.x, l.weight("norm", rowDim), l.layout, 1e-5))
	qkv := l.must(ops.Linear(norm, l.weight("qkv", 3*heads*d, rowDim), l.layout))
	rope := l.floats("rope", allRows, d)
	att := l.must(ops.CausalAttention(qkv, rope, l.layout, l.ints("shared", 0, 0), backend.Heads{NumHeads: heads, NumKVHeads: heads, HeadDim: d}))
	x := l.must(ops.Add(l.x, l.must(ops.Linear(att, l.weight("o", rowDim, heads*d), l.layout)), l.layout))
	gu := l.must(ops.Linear(x, l.weight("gu", 2*f, rowDim), l.layout))
	x = l.must(ops.Add(x, l.must(ops.Linear(l.must(ops.SwiGLU(gu, l.layout)), l.weight("down", rowDim, f), l.layout)), l.layout))
	mask := l.floats("mask", allRows)
	copy(l.values[mask].Data().([]float64), []float64{1, 0, 1, 1, 0, 1, 1, 1})
	counted := l.must(ops.CountedRows(mask, l.layout))
	temp := gorgonia.NewScalar(l.g, tensor.Float64, gorgonia.WithName("temp"))
	l.values[temp] = gorgonia.NewF64(0.7)
	logp = l.must(ops.TokenLogProbs(x, l.weight("out", v, rowDim), l.ints("targets", 1, 2, 3, 4, 5, 6, 0, 1), mask, temp, l.layout))
	head = l.must(ops.ScalarHead(l.must(ops.Gather(x, counted)), l.weight("head", 1, rowDim), l.weight("bias", 1), counted))
	return logp, head
}

// run computes the outputs in memory that is full of NaN, and counts the values whose unused rows may be dirty.
func (l *rowsGraph) run(outputs []*gorgonia.Node, opts Options, allowed bool) (values [][]float64, dirty int) {
	p, err := Compile(outputs, opts)
	require.NoError(l.t, err)
	dirty = len(p.dirty)
	if !allowed {
		p.dirty = nil
	}
	for n, v := range l.values {
		require.NoError(l.t, p.Bind(n, v))
	}
	for i := range p.arena {
		p.arena[i] = math.Float64bits(math.NaN())
	}
	for _, s := range p.outputs {
		for i := range s.buf.F64 {
			s.buf.F64[i] = math.NaN()
		}
	}
	require.NoError(l.t, p.Run(context.Background()))
	for _, n := range outputs {
		b, err := p.Buffer(n)
		require.NoError(l.t, err)
		values = append(values, append([]float64(nil), b.F64...))
	}
	return values, dirty
}

// TestDirty: what nobody reads may hold anything, in a net with its gradients, and no bit of an output knows.
func TestDirty(t *testing.T) {
	l := newRowsGraph(t)
	logp, head := l.trunk()
	x := ops.Expr(l.g)
	loss := x.Add(x.Sum(x.Square(logp)), x.Sum(x.Square(head)))
	require.NoError(t, x.Err())
	grads, err := gorgonia.Grad(loss, append(l.weights, l.x)...)
	require.NoError(t, err)
	outputs := append(grads, loss, logp, head)
	want, dirty := l.run(outputs, Options{}, false)
	assert.Greater(t, dirty, 15)
	for _, opts := range []Options{{}, {Sums: grads}, {CheckFinite: true}} {
		got, _ := l.run(outputs, opts, true)
		assert.Equal(t, want, got)
	}
	for _, w := range want {
		for _, v := range w {
			require.False(t, math.IsNaN(v))
		}
	}
}

// TestNotDirty: rows that somebody reads are 0.
func TestNotDirty(t *testing.T) {
	zeros := func(t *testing.T, l *rowsGraph, out *gorgonia.Node) {
		t.Helper()
		want, _ := l.run([]*gorgonia.Node{out}, Options{}, false)
		got, _ := l.run([]*gorgonia.Node{out}, Options{}, true)
		assert.Equal(t, want, got)
	}
	linear := func(l *rowsGraph, table *gorgonia.Node) *gorgonia.Node {
		return l.must(ops.Linear(l.x, l.weight("w", rowDim, rowDim), table))
	}
	more := func(l *rowsGraph) *gorgonia.Node { return l.ints("more", 2, 0, 3, usedRows+2) }
	t.Run("an output", func(t *testing.T) {
		l := newRowsGraph(t)
		zeros(t, l, linear(l, l.layout))
	})
	t.Run("read by gorgonia", func(t *testing.T) {
		l := newRowsGraph(t)
		zeros(t, l, gorgonia.Must(gorgonia.Sum(linear(l, l.layout))))
	})
	t.Run("read by an expression", func(t *testing.T) {
		l := newRowsGraph(t)
		x := ops.Expr(l.g)
		zeros(t, l, x.Exp(linear(l, l.layout)))
	})
	t.Run("read by another layout", func(t *testing.T) {
		l := newRowsGraph(t)
		zeros(t, l, l.must(ops.Linear(linear(l, l.layout), l.weight("u", 3, rowDim), more(l))))
	})
	t.Run("chosen", func(t *testing.T) {
		l := newRowsGraph(t)
		zeros(t, l, l.must(ops.Gather(linear(l, l.layout), l.ints("rows", 2, 1, usedRows+1, 2))))
	})
	t.Run("read as weights", func(t *testing.T) {
		l := newRowsGraph(t)
		zeros(t, l, l.must(ops.Linear(l.floats("y", allRows, rowDim), linear(l, l.layout), l.layout)))
	})
	t.Run("a sum that is read", func(t *testing.T) {
		l := newRowsGraph(t)
		a := linear(l, l.layout)
		sum := gorgonia.Must(gorgonia.Add(a, l.must(ops.Linear(a, l.weight("u", rowDim, rowDim), l.layout))))
		zeros(t, l, gorgonia.Must(gorgonia.Sum(sum)))
	})
	t.Run("a sum of two layouts", func(t *testing.T) {
		l := newRowsGraph(t)
		other := more(l)
		sum := gorgonia.Must(gorgonia.Add(l.must(ops.Linear(l.x, l.weight("u", rowDim, rowDim), other)), linear(l, l.layout)))
		zeros(t, l, l.must(ops.Linear(sum, l.weight("v", rowDim, rowDim), other)))
	})
	t.Run("in another shape", func(t *testing.T) {
		l := newRowsGraph(t)
		flat := gorgonia.Must(gorgonia.Reshape(linear(l, l.layout), tensor.Shape{2 * allRows, rowDim / 2}))
		zeros(t, l, l.must(ops.Linear(flat, l.weight("u", 3, rowDim/2), l.ints("whole", 1, 0, 2*allRows))))
	})
}
