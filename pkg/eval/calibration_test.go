package eval

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// Eight predictions in four bins, by hand.
func TestCalibrate(t *testing.T) {
	p := []float64{0.9, 0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 1}
	y := []float64{1, 0, 1, 0, 1, 1, 0, 1}
	c, err := Calibrate(p, y, 4, EqualWidth)
	require.NoError(t, err)
	require.Len(t, c.Bins, 4)
	for i, want := range []struct {
		lo, hi, predicted, observed float64
		n                           int
	}{{0, 0.25, 0.15, 0.5, 2}, {0.25, 0.5, 0.3, 0, 1}, {0.5, 0.75, 0.65, 1, 2}, {0.75, 1, 0.9, 2.0 / 3, 3}} {
		b := c.Bins[i]
		assert.InDeltaSlice(t, []float64{want.lo, want.hi, want.predicted, want.observed}, []float64{b.Lo, b.Hi, b.Predicted, b.Observed.Mean}, 1e-12)
		assert.Equal(t, want.n, b.Observed.N)
		lo, hi := Wilson(want.observed*float64(want.n), want.n)
		assert.InDeltaSlice(t, []float64{lo, hi}, []float64{b.Observed.Lo, b.Observed.Hi}, 1e-12)
	}
	assert.InDelta(t, (2*0.35+1*0.3+2*0.35+3*(0.9-2.0/3))/8, c.ECE, 1e-12)
	assert.InDelta(t, 0.35, c.MaxError, 1e-12)
	assert.InDelta(t, (0.01+0.01+0.64+0.09+0.16+0.09+0.64+0)/8, c.Brier, 1e-12)

	c, err = Calibrate(p, y, 4, EqualCount)
	require.NoError(t, err)
	require.Len(t, c.Bins, 4)
	assert.Equal(t, [2]float64{0.1, 0.2}, [2]float64{c.Bins[0].Lo, c.Bins[0].Hi})
	assert.InDelta(t, 0.95, c.Bins[3].Predicted, 1e-12)
	assert.InDelta(t, (0.35+0.05+0.25+0.05)/4, c.ECE, 1e-12)

	c, err = Calibrate([]float64{0.5, 1}, []float64{1, 1}, 2, EqualWidth)
	require.NoError(t, err)
	require.Len(t, c.Bins, 1, "an edge belongs to the bin above it, the last one to the last bin")
	assert.Equal(t, 0.5, c.Bins[0].Lo)
}

// Equal predictions stay together, and no bin is empty.
func TestEqualCountKeepsTies(t *testing.T) {
	c, err := Calibrate([]float64{0.2, 0.5, 0.5, 0.5, 0.5, 0.9}, []float64{0, 0, 1, 0, 1, 1}, 3, EqualCount)
	require.NoError(t, err)
	require.Len(t, c.Bins, 2)
	assert.Equal(t, 5, c.Bins[0].Observed.N)
	assert.Equal(t, [2]float64{0.9, 0.9}, [2]float64{c.Bins[1].Lo, c.Bins[1].Hi})
	for bins := 1; bins < 9; bins++ {
		for _, binning := range []Binning{EqualWidth, EqualCount} {
			c, err := Calibrate([]float64{0, 0, 0.3, 0.5, 1, 1}, make([]float64, 6), bins, binning)
			require.NoError(t, err)
			n := 0
			for _, b := range c.Bins {
				require.Positive(t, b.Observed.N)
				require.LessOrEqual(t, b.Lo, b.Predicted)
				require.LessOrEqual(t, b.Predicted, b.Hi)
				n += b.Observed.N
			}
			assert.Equal(t, 6, n)
		}
	}
}

// Choices drawn with probability σ(d) are calibrated; a model whose scores are k times as large is over-confident, by an error that is
// known: the mean of σ(k|d|) - σ(|d|).
func TestCalibratePreferences(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 200_000
	for _, k := range []float64{1, 3} {
		d := make([]float64, n)
		want, brier := 0.0, 0.0
		for i := range d {
			x := math.Abs(rng.NormFloat64())
			want += (sigmoid(k*x) - sigmoid(x)) / n
			p, q := sigmoid(x), sigmoid(k*x)
			brier += (p*(1-q)*(1-q) + (1-p)*q*q) / n
			if d[i] = k * x; rng.Float64() > sigmoid(x) {
				d[i] = -d[i]
			}
		}
		for _, binning := range []Binning{EqualWidth, EqualCount} {
			c, err := CalibratePreferences(d, 10, binning)
			require.NoError(t, err)
			assert.InDelta(t, want, c.ECE, 4*math.Sqrt(10*0.25/n))
			assert.InDelta(t, brier, c.Brier, 4*0.3/math.Sqrt(n))
			assert.GreaterOrEqual(t, c.Bins[0].Lo, 0.5)
			if k == 1 {
				inside := 0
				for _, b := range c.Bins {
					if b.Observed.Lo <= b.Predicted && b.Predicted <= b.Observed.Hi {
						inside++
					}
				}
				assert.GreaterOrEqual(t, inside, 8)
			}
		}
	}
	c, err := CalibratePreferences([]float64{0, 0, 0, 0}, 5, EqualWidth)
	require.NoError(t, err)
	assert.Equal(t, Calibration{Bins: c.Bins, Brier: 0.25}, c)
}

// The error of pairs does not depend on which answer is called the first: showing every pair both ways over [0, 1] gives the same.
func TestPreferencesBothWays(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	var d, p, y []float64
	for range 500 {
		x := rng.NormFloat64() + 0.3
		d = append(d, x)
		p, y = append(p, sigmoid(x), sigmoid(-x)), append(y, 1, 0)
	}
	one, err := CalibratePreferences(d, 5, EqualWidth)
	require.NoError(t, err)
	both, err := Calibrate(p, y, 10, EqualWidth)
	require.NoError(t, err)
	assert.InDelta(t, both.ECE, one.ECE, 1e-12)
	assert.InDelta(t, both.Brier, one.Brier, 1e-12)
	assert.InDelta(t, both.MaxError, one.MaxError, 1e-12)
}

func TestRewardByRating(t *testing.T) {
	levels, rank, err := RewardByRating([]float64{1, 3, 2, 8, 9}, []float64{1, 2, 1, 7, 7})
	require.NoError(t, err)
	require.Len(t, levels, 3)
	assert.Equal(t, []float64{1, 2, 7}, []float64{levels[0].Rating, levels[1].Rating, levels[2].Rating})
	assert.Equal(t, []float64{1.5, 3, 8.5}, []float64{levels[0].Reward.Mean, levels[1].Reward.Mean, levels[2].Reward.Mean})
	// Ranks 1 to 5 against 1.5, 1.5, 3, 4.5, 4.5: covariance 9, variances 10 and 9.
	assert.InDelta(t, 9/math.Sqrt(90), rank, 1e-12)

	_, rank, err = RewardByRating([]float64{3, 2, 1}, []float64{10, 20, 1000})
	require.NoError(t, err)
	assert.InDelta(t, -1, rank, 1e-12)
	_, _, err = RewardByRating([]float64{1}, nil)
	assert.ErrorContains(t, err, "eval: 1 rewards for 0 ratings")
	_, _, err = RewardByRating([]float64{math.NaN()}, []float64{1})
	assert.ErrorContains(t, err, "reward 0 is NaN")
}

func TestCalibrateRefuses(t *testing.T) {
	one := []float64{1}
	for want, call := range map[string]func() (Calibration, error){
		"1 probabilities for 0 outcomes": func() (Calibration, error) { return Calibrate(one, nil, 2, EqualWidth) },
		"no predictions":                 func() (Calibration, error) { return Calibrate(nil, nil, 2, EqualWidth) },
		"0 bins":                         func() (Calibration, error) { return Calibrate(one, one, 0, EqualWidth) },
		"binning 2":                      func() (Calibration, error) { return Calibrate(one, one, 1, 2) },
		"prediction 0 is 1.5":            func() (Calibration, error) { return Calibrate([]float64{1.5}, one, 1, EqualWidth) },
		"prediction 0 is NaN":            func() (Calibration, error) { return CalibratePreferences([]float64{math.NaN()}, 1, EqualWidth) },
	} {
		_, err := call()
		assert.ErrorContains(t, err, "eval: calibration: "+want)
	}
}
