package train_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

// A forward pass counts its own batch, and has the scalars that were set.
func TestForwardScalars(t *testing.T) {
	tokens, counted := sequences(9, 3)
	in := model.NewInputs(tensor.Float32, 32, 4)
	trunk, err := model.NewTrunk(in, tinyParams(tensor.Float32, 1), "policy")
	require.NoError(t, err)
	var outs []*gorgonia.Node
	x := ops.Expr(in.G)
	for _, name := range []string{train.ScalarTokens, train.ScalarSeqs, train.ScalarStep, "own"} {
		outs = append(outs, x.Scale(in.Scalar(name), 1))
	}
	require.NoError(t, x.Err())
	f, err := train.NewForward(in, outs, []*model.Trunk{trunk})
	require.NoError(t, err)
	f.SetScalar("own", 7)
	batch := ragged(t, 32, 4, tokens, counted)
	got, err := f.Run(context.Background(), batch)
	require.NoError(t, err)
	assert.Equal(t, [][]float32{{float32(batch.Counted())}, {3}, {0}, {7}}, got)
}

// Weights that a loss reaches through a comparison alone have no gradient.
func TestGradOfAComparison(t *testing.T) {
	g := gorgonia.NewGraph()
	a, b := vector(g, "a", 2), vector(g, "b", 2)
	x := ops.Expr(g)
	loss := x.Sum(x.Mul(a, x.Greater(b, a)))
	require.NoError(t, x.Err())
	grads, err := train.Grad(loss, []*gorgonia.Node{a, b})
	require.NoError(t, err)
	assert.NotNil(t, grads[0])
	assert.Nil(t, grads[1])
}
