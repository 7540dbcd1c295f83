package eval

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMeanOf(t *testing.T) {
	m := MeanOf([]float64{1, 2, 3, 4}) // variance 5/3, standard error sqrt(5/12)
	assert.Equal(t, 4, m.N)
	assert.InDelta(t, 2.5, m.Mean, 1e-12)
	assert.InDelta(t, 2.5-1.96*0.645497, m.Lo, 1e-4)
	assert.InDelta(t, 2.5+1.96*0.645497, m.Hi, 1e-4)
	assert.Equal(t, Mean{Mean: 7, Lo: 7, Hi: 7, N: 2}, MeanOf([]float64{7, 7}))

	one := MeanOf([]float64{3})
	assert.Equal(t, 3.0, one.Mean)
	assert.True(t, math.IsNaN(one.Lo) && math.IsNaN(one.Hi))
	assert.Equal(t, "3.000", one.String(), "there is no interval of one value")
	assert.Equal(t, "0.500 [0.250, 0.750]", Mean{Mean: 0.5, Lo: 0.25, Hi: 0.75, N: 3}.String())
	assert.True(t, math.IsNaN(MeanOf(nil).Mean))
}

// Newcombe 1998 (Statistics in Medicine 17), table I, the score method without continuity correction.
func TestShareOf(t *testing.T) {
	for _, c := range []struct {
		hits, n       int
		share, lo, hi float64
	}{
		{81, 263, 0.3080, 0.2553, 0.3662}, {15, 148, 0.1014, 0.0624, 0.1605}, {0, 20, 0, 0, 0.1611}, {1, 29, 0.0345, 0.0061, 0.1718},
		{20, 20, 1, 0.8389, 1},
	} {
		values := make([]bool, c.n)
		for i := range c.hits {
			values[i] = true
		}
		m := ShareOf(values)
		assert.Equal(t, c.n, m.N)
		assert.InDelta(t, c.share, m.Mean, 0.00005)
		assert.InDelta(t, c.lo, m.Lo, 0.00005, "%d of %d", c.hits, c.n)
		assert.InDelta(t, c.hi, m.Hi, 0.00005, "%d of %d", c.hits, c.n)
		assert.GreaterOrEqual(t, m.Lo, 0.0)
		assert.LessOrEqual(t, m.Hi, 1.0)
	}
	assert.True(t, math.IsNaN(ShareOf(nil).Mean) && math.IsNaN(ShareOf(nil).Lo))
}

func TestAbove(t *testing.T) {
	low, high := Mean{Mean: 0.5, Lo: 0.4, Hi: 0.6}, Mean{Mean: 0.8, Lo: 0.7, Hi: 0.9}
	assert.True(t, high.Above(low))
	assert.False(t, low.Above(high))
	assert.False(t, Mean{Mean: 0.7, Lo: 0.6, Hi: 0.8}.Above(low), "they touch")
	assert.False(t, MeanOf([]float64{3}).Above(low), "no interval")
}

func TestMeanInJSON(t *testing.T) {
	raw, err := json.Marshal([]Mean{{Mean: 0.5, Lo: 0.25, Hi: 0.75, N: 3}, MeanOf(nil)})
	require.NoError(t, err)
	assert.JSONEq(t, `[{"mean":0.5,"lo":0.25,"hi":0.75,"n":3},{"mean":null,"lo":null,"hi":null,"n":0}]`, string(raw))
	var back []Mean
	require.NoError(t, json.Unmarshal(raw, &back))
	assert.Equal(t, 0.25, back[0].Lo)
}
