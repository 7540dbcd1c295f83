package exec

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/backend/cpu"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// Two operators of gorgonia are recognised by their texts. Another version of gorgonia that words
// them differently has to fail here: without its substitute the sum of two gradients would
// allocate, and a tied embedding's would not be added up in place.
func TestGorgoniaIsRecognised(t *testing.T) {
	g := gorgonia.NewGraph()
	vector := func(name string) *gorgonia.Node {
		return gorgonia.NewVector(g, tensor.Float32, gorgonia.WithShape(6), gorgonia.WithName(name))
	}
	a, b := vector("a"), vector("b")
	sum := gorgonia.Must(gorgonia.Add(a, b))
	assert.Equal(t, plusText, sum.Op().String())
	flat := gorgonia.Must(gorgonia.Reshape(a, tensor.Shape{2, 3}))
	assert.Equal(t, reshapePrefix+"2, 3)", flat.Op().String())

	// The sum that differentiation inserts where a value is used twice.
	x := ops.Expr(g)
	loss := x.Sum(x.Mul(x.Exp(a), x.Tanh(a)))
	require.NoError(t, x.Err())
	grads, err := gorgonia.Grad(loss, a)
	require.NoError(t, err)
	assert.Contains(t, []string{plusText, plusSameText}, grads[0].Op().String())

	p, err := Compile([]*gorgonia.Node{x.Exp(sum), flat, x.Exp(grads[0])}, Options{})
	require.NoError(t, err)
	kinds := map[backend.Kind]int{}
	for _, st := range p.steps {
		assert.NotNil(t, st.kernel, "%s runs by itself", st.name)
		kinds[st.compute.Kind]++
	}
	assert.Equal(t, 2, kinds[backend.GradientSum])
	assert.Equal(t, 1, kinds[backend.Copy])
}

// lacking is the CPU without one kind.
type lacking struct {
	cpu.Backend
	kind backend.Kind
}

func (l lacking) Kernel(op backend.Op) (backend.Kernel, error) {
	if op.Kind == l.kind {
		return nil, &backend.NoKernelError{Backend: "lacking", Kind: op.Kind, DType: op.DType}
	}
	return l.Backend.Kernel(op)
}

// What a backend cannot compute is refused when the graph is compiled, by kind and dtype.
func TestKernelIsMissing(t *testing.T) {
	g := gorgonia.NewGraph()
	a := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(6), gorgonia.WithName("a"))
	x := ops.Expr(g)
	total := x.Sum(x.Tanh(a))
	require.NoError(t, x.Err())
	_, err := Compile([]*gorgonia.Node{total}, Options{Backend: lacking{kind: backend.Tanh}})
	assert.EqualError(t, err, `exec: operator "tanh": backend: lacking has no kernel of "tanh" for float64`)
	var missing *backend.NoKernelError
	require.ErrorAs(t, err, &missing)
	assert.Equal(t, backend.Float64, missing.DType)
	_, err = Compile([]*gorgonia.Node{total}, Options{Backend: lacking{kind: backend.Exp}})
	assert.NoError(t, err)
}
