package exec_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// TestReshapeKeepsItsSource: gorgonia's own machine overwrites a value that is still needed when a Reshape is followed
// by an element-wise operator. Here both lie in one place, and it stays as it is until the last of its readers.
func TestReshapeKeepsItsSource(t *testing.T) {
	const n = 1000
	g := gorgonia.NewGraph()
	a := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(n), gorgonia.WithName("a"))
	double := gorgonia.Must(gorgonia.Add(a, a))
	flat := gorgonia.Must(gorgonia.Reshape(gorgonia.Must(gorgonia.Reshape(double, tensor.Shape{2, n / 2})), tensor.Shape{n / 2, 2}))
	square := gorgonia.Must(gorgonia.Square(flat))
	total := gorgonia.Must(gorgonia.Add(gorgonia.Must(gorgonia.Sum(square)), gorgonia.Must(gorgonia.Sum(double))))
	p, err := exec.Compile([]*gorgonia.Node{total, square}, exec.Options{})
	require.NoError(t, err)
	in, sum, squares := make([]float64, n), 0.0, make([]float64, n)
	for i := range in {
		in[i] = float64(i % 7)
		sum += 4*in[i]*in[i] + 2*in[i]
		squares[i] = 4 * in[i] * in[i]
	}
	bindVector(t, p, a, in)
	for range 2 {
		require.NoError(t, p.Run(context.Background()))
		assert.Equal(t, sum, scalar(t, p, total))
		v, err := p.Value(square)
		require.NoError(t, err)
		assert.Equal(t, squares, v.Data())
		assert.Equal(t, tensor.Shape{n / 2, 2}, v.Shape())
	}
	assert.LessOrEqual(t, p.ArenaBytes(), 8*n+3*64, "one vector and two scalars")
}

// A value lives as long as the last reader of its reshape.
func TestReshapeProlongsItsSource(t *testing.T) {
	g := gorgonia.NewGraph()
	a := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(4), gorgonia.WithName("a"))
	view := must(t)(gorgonia.Reshape(gorgonia.Must(gorgonia.Add(a, a)), tensor.Shape{2, 2}))
	total := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(a)))) // takes the lowest place that is free
	square := gorgonia.Must(gorgonia.Square(view))
	sum := gorgonia.Must(gorgonia.Add(gorgonia.Must(gorgonia.Reshape(square, tensor.Shape{4})), a)) // both its parts are no operator's result
	p, err := exec.Compile([]*gorgonia.Node{total, sum}, exec.Options{Sums: []*gorgonia.Node{sum}})
	require.NoError(t, err)
	bindVector(t, p, a, []float64{1, 2, 3, 4})
	require.NoError(t, p.Run(context.Background()))
	assert.Equal(t, 30.0, scalar(t, p, total))
	assert.Equal(t, []float64{4 + 1, 16 + 2, 36 + 3, 64 + 4}, values(t, p, sum))
	require.NoError(t, p.RunAdd(context.Background()))
	assert.Equal(t, []float64{10, 36, 78, 136}, values(t, p, sum))
}

// A small value in the way of a big one costs no gap: in the order of the steps this arena would be a third larger.
func TestArenaHasNoGaps(t *testing.T) {
	const n = 1000
	g := gorgonia.NewGraph()
	small := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(n), gorgonia.WithName("small"))
	big := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(2*n), gorgonia.WithName("big"))
	x := ops.Expr(g)
	long := x.Tanh(x.Tanh(small))
	part := x.Sum(x.Tanh(big))
	total := x.Add(part, x.Sum(long))
	require.NoError(t, x.Err())
	p, err := exec.Compile([]*gorgonia.Node{total}, exec.Options{})
	require.NoError(t, err)
	assert.LessOrEqual(t, p.ArenaBytes(), 8*3*n+2*64)
}

// A reshape of an input follows what is bound to it, and one that is an output has memory of its own.
func TestReshapeOfInputAndOutput(t *testing.T) {
	g := gorgonia.NewGraph()
	a := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(4), gorgonia.WithName("a"))
	matrix := gorgonia.Must(gorgonia.Reshape(a, tensor.Shape{2, 2}))
	square := gorgonia.Must(gorgonia.Square(matrix))
	out := gorgonia.Must(gorgonia.Reshape(a, tensor.Shape{4, 1}))
	p, err := exec.Compile([]*gorgonia.Node{square, out}, exec.Options{})
	require.NoError(t, err)
	for _, in := range [][]float64{{1, 2, 3, 4}, {5, 6, 7, 8}} {
		bindVector(t, p, a, in)
		require.NoError(t, p.Run(context.Background()))
		assert.Equal(t, []float64{in[0] * in[0], in[1] * in[1], in[2] * in[2], in[3] * in[3]}, values(t, p, square))
		got := values(t, p, out)
		in[0] = -1
		assert.Equal(t, got, values(t, p, out), "not the input's memory")
	}
}

// values copies an output of float64.
func values(t *testing.T, p *exec.Program, n *gorgonia.Node) []float64 {
	t.Helper()
	buf, err := p.Buffer(n)
	require.NoError(t, err)
	return append([]float64(nil), buf.F64...)
}

// sumsGraph has every kind of output that can be summed, of x (N, K) and a tied weight w (K, K) among others.
func sumsGraph(t *testing.T) (g map[string]*gorgonia.Node, outputs []*gorgonia.Node) {
	t.Helper()
	const n, k = 6, 3
	graph := gorgonia.NewGraph()
	matrix := func(name string, rows int) *gorgonia.Node {
		return gorgonia.NewMatrix(graph, tensor.Float64, gorgonia.WithShape(rows, k), gorgonia.WithName(name))
	}
	x, w, u := matrix("x", n), matrix("w", k), matrix("u", k)
	layout := gorgonia.NewVector(graph, tensor.Int32, gorgonia.WithShape(3), gorgonia.WithName("layout"))
	b := gorgonia.NewVector(graph, tensor.Float64, gorgonia.WithShape(k), gorgonia.WithName("b"))
	linear := func(h, w *gorgonia.Node) *gorgonia.Node { return must(t)(ops.Linear(h, w, layout)) }
	h := linear(linear(linear(x, w), u), w) // w is used three times, so its gradient is a sum of three
	h = linear(must(t)(ops.RMSNorm(h, b, layout, 1e-5)), w)
	foreign := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(b, gorgonia.Must(gorgonia.Square(b))))))
	loss := gorgonia.Must(gorgonia.Add(gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(h)))), foreign))
	grads, err := gorgonia.Grad(loss, w, u, b, x)
	require.NoError(t, err)
	read := gorgonia.Must(gorgonia.Square(grads[1])) // somebody reads the gradient of one run
	return map[string]*gorgonia.Node{"x": x, "w": w, "u": u, "b": b, "layout": layout, "loss": loss, "read": read},
		append(grads, loss, read)
}

func must(t *testing.T) func(*gorgonia.Node, error) *gorgonia.Node {
	return func(n *gorgonia.Node, err error) *gorgonia.Node {
		t.Helper()
		require.NoError(t, err)
		return n
	}
}

// RunAdd gives the sums of what Run gives one by one, other outputs are overwritten, and Run starts anew.
func TestRunAdd(t *testing.T) {
	nodes, outputs := sumsGraph(t)
	sums := outputs[:4]
	plain, err := exec.Compile(outputs, exec.Options{})
	require.NoError(t, err)
	adding, err := exec.Compile(outputs, exec.Options{Sums: sums})
	require.NoError(t, err)
	batch := make([]float64, 18)
	layout := []int32{1, 0, 6}
	for _, p := range []*exec.Program{plain, adding} {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, name := range []string{"w", "u"} {
			w := make([]float64, 9)
			for i := range w {
				w[i] = rng.NormFloat64()
			}
			require.NoError(t, p.Bind(nodes[name], tensor.New(tensor.WithShape(3, 3), tensor.WithBacking(w))))
		}
		bindVector(t, p, nodes["b"], []float64{1, 2, -1})
		require.NoError(t, p.Bind(nodes["x"], tensor.New(tensor.WithShape(6, 3), tensor.WithBacking(batch))))
		require.NoError(t, p.Bind(nodes["layout"], tensor.New(tensor.WithBacking(layout))))
	}
	ctx := context.Background()
	for range 2 {
		rng := rand.New(rand.NewPCG(3, 4))
		want := make([][]float64, len(sums))
		for micro := range 3 {
			layout[2] = int32(6 - 2*micro) // fewer and fewer slots are used
			for i := range batch {
				batch[i] = rng.NormFloat64()
			}
			require.NoError(t, plain.Run(ctx))
			run := adding.RunAdd
			if micro == 0 {
				run = adding.Run
			}
			require.NoError(t, run(ctx))
			for k, n := range sums {
				for i, v := range values(t, plain, n) {
					if micro == 0 {
						want[k] = append(want[k], 0)
					}
					want[k][i] += v
				}
				assert.InDeltaSlice(t, want[k], values(t, adding, n), 1e-10, "gradient %d, micro-batch %d", k, micro)
			}
			for _, name := range []string{"loss", "read"} {
				assert.InDeltaSlice(t, values(t, plain, nodes[name]), values(t, adding, nodes[name]), 1e-10, name)
			}
		}
	}
	assert.NotZero(t, values(t, adding, sums[0])[0])

	_, err = exec.Compile(outputs, exec.Options{Sums: []*gorgonia.Node{nodes["x"]}})
	assert.ErrorContains(t, err, "is to be summed and is not an output")
}

// The parts of a tied weight's gradient are added up where it lies: they need no memory of their own.
func TestSumsLieInTheOutput(t *testing.T) {
	const n, k = 2, 200
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(n, k), gorgonia.WithName("x"))
	w := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(k, k), gorgonia.WithName("w"))
	layout := gorgonia.NewVector(g, tensor.Int32, gorgonia.WithShape(3), gorgonia.WithName("layout"))
	h := x
	for range 4 {
		h = must(t)(ops.Linear(h, w, layout))
	}
	b := ops.Expr(g)
	head := must(t)(ops.ScalarHead(h, gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(1, k), gorgonia.WithName("head")),
		gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(1), gorgonia.WithName("bias")), layout))
	loss := b.Sum(head)
	require.NoError(t, b.Err())
	grads, err := gorgonia.Grad(loss, w)
	require.NoError(t, err)
	p, err := exec.Compile([]*gorgonia.Node{loss, grads[0]}, exec.Options{Sums: grads})
	require.NoError(t, err)
	assert.Less(t, p.ArenaBytes(), 8*k*k)
	assert.Equal(t, 8*k*k+64, p.OutputBytes())
}

// A value of a group that is read behind the group's end is computed again there, from the group's input, bit for bit.
func TestRecompute(t *testing.T) {
	const n, layers, depth = 1000, 8, 6
	build := func(recompute bool) (*exec.Program, *gorgonia.Node, []*gorgonia.Node) {
		g := gorgonia.NewGraph()
		a := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(n), gorgonia.WithName("a"))
		x := ops.Expr(g)
		y := a
		var groups [][]*gorgonia.Node
		for range layers {
			var group []*gorgonia.Node
			for range depth {
				y = x.Tanh(y)
				group = append(group, y)
			}
			groups = append(groups, group)
		}
		total := x.Sum(y)
		require.NoError(t, x.Err())
		grads, err := gorgonia.Grad(total, a)
		require.NoError(t, err)
		opts := exec.Options{Timing: true}
		if recompute {
			opts.Recompute = groups[:layers-1]
		}
		outputs := []*gorgonia.Node{total, grads[0]}
		p, err := exec.Compile(outputs, opts)
		require.NoError(t, err)
		in := make([]float64, n)
		for i := range in {
			in[i] = float64(i)/n - 0.5
		}
		bindVector(t, p, a, in)
		require.NoError(t, p.Run(context.Background()))
		return p, total, outputs
	}
	want, _, outputs := build(false)
	got, _, again := build(true)
	for i := range outputs {
		assert.Equal(t, values(t, want, outputs[i]), values(t, got, again[i]))
	}
	// Tanh's derivative reads its result: all of them are kept, or the layers' ends and one layer's inside.
	assert.GreaterOrEqual(t, want.ArenaBytes(), 8*n*layers*depth)
	assert.LessOrEqual(t, got.ArenaBytes(), 8*n*(layers+depth+3))
}

// A reshape within a group is another view of the second computation too, and sums and outputs are kept.
func TestRecomputeReshape(t *testing.T) {
	run := func(recompute bool) (grad, kept []float64, arena int) {
		g := gorgonia.NewGraph()
		a := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(4), gorgonia.WithName("a"))
		x := ops.Expr(g)
		e := must(t)(gorgonia.Add(a, a)) // the gradient reads it as the view only
		view := must(t)(gorgonia.Reshape(e, tensor.Shape{2, 2}))
		square := must(t)(gorgonia.Square(view))
		back := must(t)(gorgonia.Reshape(square, tensor.Shape{4}))
		end := x.Tanh(back)
		total := x.Sum(x.Tanh(x.Tanh(end)))
		require.NoError(t, x.Err())
		grads, err := gorgonia.Grad(total, a)
		require.NoError(t, err)
		opts := exec.Options{Sums: grads}
		if recompute {
			opts.Recompute = [][]*gorgonia.Node{{e, view, square, back, end}}
		}
		p, err := exec.Compile([]*gorgonia.Node{total, grads[0], square}, opts)
		require.NoError(t, err)
		bindVector(t, p, a, []float64{-1, 0.5, 0.25, 0.125})
		require.NoError(t, p.Run(context.Background()))
		return values(t, p, grads[0]), values(t, p, square), p.ArenaBytes()
	}
	grad, kept, arena := run(false)
	grad2, kept2, arena2 := run(true)
	assert.Less(t, arena2, arena)
	assert.Equal(t, grad, grad2)
	assert.Equal(t, kept, kept2)
}
