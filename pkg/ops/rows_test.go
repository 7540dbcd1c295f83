package ops_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// someCounted counts slots 1, 2 and 5 of the six that are used.
var someCounted = floats("mask", false, []float64{0, 1, 1, 0, 0, 1, 0, 0}, 8)

// chain applies operators until one fails.
type chain struct{ err error }

func (c *chain) do(n *gorgonia.Node, err error) *gorgonia.Node {
	if c.err == nil {
		c.err = err
	}
	return n
}

// countedRoundTrip takes the counted rows of x, lets work change them, and puts them back.
func countedRoundTrip(n nodes, work func(c *chain, x, rows *gorgonia.Node) *gorgonia.Node) (*gorgonia.Node, error) {
	var c chain
	rows := c.do(ops.CountedRows(n["mask"], n["layout"]))
	y := c.do(ops.Scatter(work(&c, c.do(ops.Gather(n["x"], rows)), rows), rows, slots))
	return y, c.err
}

func TestRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	x := floats("x", true, rows(rng, 5), slots, 5)
	w := func(name string, shape ...int) input {
		return floats(name, true, normal(rng, tensor.Shape(shape).TotalSize()), shape...)
	}
	for _, c := range []opCase{
		{"gather last rows", []input{x, layout}, func(n nodes) (*gorgonia.Node, error) {
			var c chain
			y := c.do(ops.Gather(n["x"], c.do(ops.LastRows(n["layout"]))))
			return y, c.err
		}, usedS * 5},
		{"gather counted rows", []input{x, someCounted, layout}, func(n nodes) (*gorgonia.Node, error) {
			var c chain
			y := c.do(ops.Gather(n["x"], c.do(ops.CountedRows(n["mask"], n["layout"]))))
			return y, c.err
		}, 3 * 5},
		{"gather and scatter", []input{x, someCounted, layout}, func(n nodes) (*gorgonia.Node, error) {
			return countedRoundTrip(n, func(_ *chain, x, _ *gorgonia.Node) *gorgonia.Node { return x })
		}, usedN * 5},
		{"rows as a layout", []input{x, w("norm", 5), w("up", 6, 5), w("down", 5, 3), someCounted, layout}, func(n nodes) (*gorgonia.Node, error) {
			return countedRoundTrip(n, func(c *chain, x, rows *gorgonia.Node) *gorgonia.Node {
				h := c.do(ops.RMSNorm(x, n["norm"], rows, 1e-5))
				h = c.do(ops.SwiGLU(c.do(ops.Linear(h, n["up"], rows)), rows))
				return c.do(ops.Add(x, c.do(ops.Linear(h, n["down"], rows)), rows))
			})
		}, usedN * 5},
		{"score of last rows", []input{x, w("w", 1, 5), w("b", 1), layout}, func(n nodes) (*gorgonia.Node, error) {
			var c chain
			rows := c.do(ops.LastRows(n["layout"]))
			y := c.do(ops.ScalarHead(c.do(ops.Gather(n["x"], rows)), n["w"], n["b"], rows))
			return y, c.err
		}, usedS},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c) })
	}
}

// TestTables writes the tables down by hand, for a batch and for an empty one.
func TestTables(t *testing.T) {
	g := gorgonia.NewGraph()
	mask := gorgonia.NewVector(g, tensor.Float32, gorgonia.WithShape(5), gorgonia.WithName("mask"))
	lay := gorgonia.NewVector(g, tensor.Int32, gorgonia.WithShape(5), gorgonia.WithName("layout"))
	last, err := ops.LastRows(lay)
	require.NoError(t, err)
	counted, err := ops.CountedRows(mask, lay)
	require.NoError(t, err)
	p, err := exec.Compile([]*gorgonia.Node{last, counted}, exec.Options{})
	require.NoError(t, err)
	nan := float32(math.NaN())
	for _, c := range []struct {
		layout        []int32
		mask          []float32
		last, counted []int32
	}{
		{[]int32{2, 0, 3, 4, 4}, []float32{1, 0, 0.5, 0, nan}, []int32{2, 2, 3, 2, 2}, []int32{2, 0, 2, 2, 2, 2, 2}},
		{[]int32{1, 0, 5, 5, 5}, []float32{1, 1, 1, 1, 1}, []int32{1, 4, 1, 1, 1}, []int32{5, 0, 1, 2, 3, 4, 5}},
		{[]int32{1, 0, 5, 5, 5}, make([]float32, 5), []int32{1, 4, 1, 1, 1}, make([]int32, 7)},
		{make([]int32, 5), []float32{1, 1, 1, 1, 1}, make([]int32, 5), make([]int32, 7)},
	} {
		require.NoError(t, p.Bind(lay, tensor.New(tensor.WithShape(5), tensor.WithBacking(c.layout))))
		require.NoError(t, p.Bind(mask, tensor.New(tensor.WithShape(5), tensor.WithBacking(c.mask))))
		require.NoError(t, p.Run(t.Context()))
		for n, want := range map[*gorgonia.Node][]int32{last: c.last, counted: c.counted} {
			got, err := p.Buffer(n)
			require.NoError(t, err)
			assert.Equal(t, want, got.I32)
		}
	}
}

// TestScatterIgnoresOtherRows puts NaN into rows of x that are not chosen, and into the gradient that arrives there.
func TestScatterIgnoresOtherRows(t *testing.T) {
	nan := math.NaN()
	c := opCase{"", []input{
		floats("x", true, []float64{nan, 1, 2, nan, nan, 3, 0, 0}, slots, 1), someCounted,
		floats("factor", false, []float64{nan, 2, 3, nan, nan, 5, nan, nan}, slots, 1), layout,
	}, func(n nodes) (*gorgonia.Node, error) {
		y, err := countedRoundTrip(n, func(_ *chain, x, _ *gorgonia.Node) *gorgonia.Node { return x })
		if err != nil {
			return nil, err
		}
		return gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(y, n["factor"])))
	}, -1}
	b := build(t, c, tensor.Float64)
	b.run(t)
	assert.Equal(t, []float64{0, 2, 3, 0, 0, 5, 0, 0}, b.get(t, b.grads["x"]))
}

func TestRowsRefuse(t *testing.T) {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(8, 5), gorgonia.WithName("x"))
	table := gorgonia.NewVector(g, tensor.Int32, gorgonia.WithShape(6), gorgonia.WithName("rows"))
	_, err := ops.Scatter(x, table, 8)
	assert.EqualError(t, err, "ops: scatter: rows is (6) int32, want (10) int32")
	_, err = ops.Gather(x, x)
	assert.EqualError(t, err, "ops: gather: rows is (8, 5) float32, want (any) int32")
	_, err = ops.CountedRows(x, table)
	assert.ErrorContains(t, err, "ops: counted rows: mask is (8, 5) float32")
	_, err = ops.LastRows(nil)
	assert.EqualError(t, err, "ops: last rows: layout is nil")
}
