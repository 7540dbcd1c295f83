package losstest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/losstest"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

// offered are nodes that a case offers without a column for them, next to two that it has.
type offered struct {
	Hidden, Scores, Layout *gorgonia.Node
	Tokens, Seqs, Pairs    *gorgonia.Node
}

// lastRows adds up the hidden states of each sequence's last token, and shows the counts as metrics.
func lastRows(in offered) (train.Terms, error) {
	rows, err := ops.LastRows(in.Layout)
	if err != nil {
		return train.Terms{}, err
	}
	last, err := ops.Gather(in.Hidden, rows)
	if err != nil {
		return train.Terms{}, err
	}
	x := ops.Expr(in.Hidden.Graph())
	return train.Terms{Loss: x.Sum(last), Metrics: []train.Metric{
		{Name: "tokens", Value: x.Scale(in.Tokens, 1)},
		{Name: "seqs", Value: x.Scale(in.Seqs, 1)},
		{Name: "pairs", Value: x.Scale(in.Pairs, 1)},
	}}, x.Err()
}

// The counts and the layout of a case, by hand: two sequences of 2 and 3 tokens, an unused slot and two unused segments.
func TestOfferedByHand(t *testing.T) {
	c := losstest.Case{
		Segments: []int32{0, 0, 1, 1, 1, -1},
		Token:    map[string][]float64{"Mask": {0, 1, 0, 1, 1, 0}},
		Rows:     map[string][]float64{"Hidden": {0, 1, 10, 11, 20, 21, 30, 31, 40, 41, 50, 51}},
		Segment:  map[string][]float64{"Scores": {1, 2, 0, 0}},
	}
	got, err := losstest.Eval(lastRows, c)
	require.NoError(t, err)
	assert.Equal(t, 10.+11+40+41, got.Loss)
	assert.Equal(t, map[string]float64{"tokens": 3, "seqs": 2, "pairs": 2}, got.Metrics)

	c.Groups = []int32{0, 0, -1, -1}
	got, err = losstest.Eval(lastRows, c)
	require.NoError(t, err)
	assert.Equal(t, map[string]float64{"tokens": 3, "seqs": 2, "pairs": 1}, got.Metrics)
}

// The square as the root of a fourth power is smooth, and its gradient comes out as NaN at 0.
func TestCheckGradCatchesNaN(t *testing.T) {
	loss := func(in inputs) (train.Terms, error) {
		x := ops.Expr(in.Scores.Graph())
		return terms(x, x.Sum(x.Sqrt(x.Square(x.Square(in.Scores)))))
	}
	fails(t, "1 of 2 entries are wrong: Scores[0]: gradient NaN, differences 0", func(tb losstest.TB) {
		losstest.CheckGrad(tb, loss, losstest.Case{
			Segment: map[string][]float64{"Scores": {0, 1}}, Wrt: []string{"Scores"},
		})
	})
}
