package eval

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAgreement(t *testing.T) {
	yes, no := true, false
	a, err := AgreementOf([]bool{yes, yes, yes, no, no, no, no}, []bool{yes, yes, no, yes, no, no, no})
	require.NoError(t, err)
	assert.Equal(t, Agreement{TruePositives: 2, FalsePositives: 1, FalseNegatives: 1, TrueNegatives: 3}, a)
	assert.Equal(t, 5.0/7, a.Accuracy().Mean)
	assert.Equal(t, 2.0/3, a.Precision().Mean)
	assert.Equal(t, 2.0/3, a.Recall().Mean)
	lo, hi := Wilson(2, 3)
	assert.Equal(t, Mean{2.0 / 3, lo, hi, 3}, a.Recall())
	assert.InDelta(t, 1-(2.0/7)/(1-25.0/49), a.Kappa(), 1e-12) // p_e = (3·3 + 4·4)/49
	_, err = AgreementOf([]bool{yes}, nil)
	assert.ErrorContains(t, err, "eval: 1 verdicts for 0 labels")
}

// The worked example of Cohen (1960), table 1: 200 cases in three categories, kappa 0.492.
func TestKappa(t *testing.T) {
	var first, second []string
	for _, cell := range []struct {
		a, b string
		n    int
	}{{"1", "1", 88}, {"1", "2", 14}, {"1", "3", 18}, {"2", "1", 10}, {"2", "2", 40}, {"2", "3", 10}, {"3", "1", 2}, {"3", "2", 6}, {"3", "3", 12}} {
		for range cell.n {
			first, second = append(first, cell.a), append(second, cell.b)
		}
	}
	k, err := Kappa(first, second)
	require.NoError(t, err)
	assert.InDelta(t, 0.492, k, 0.0005)

	k, err = Kappa([]int{1, 2, 3}, []int{1, 2, 3})
	require.NoError(t, err)
	assert.Equal(t, 1.0, k)
	k, err = Kappa([]int{1, 1, 2, 2}, []int{1, 2, 1, 2})
	require.NoError(t, err)
	assert.Equal(t, 0.0, k)
	k, err = Kappa([]int{1, 1}, []int{1, 1})
	require.NoError(t, err)
	assert.True(t, math.IsNaN(k))
	k, err = Kappa[int](nil, nil)
	require.NoError(t, err)
	assert.True(t, math.IsNaN(k))
	_, err = Kappa([]int{1}, nil)
	assert.ErrorContains(t, err, "eval: 1 categories")
}
