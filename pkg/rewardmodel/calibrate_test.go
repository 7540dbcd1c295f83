package rewardmodel

import (
	"context"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

func TestStatistic(t *testing.T) {
	scores := []float64{3, -1, 4, 1, -5, 9, 2, 6, 5, 3.5} // sorted: -5 -1 1 2 3 3.5 4 5 6 9
	for _, c := range []struct {
		cfg  Calibration
		want float64
	}{
		{Calibration{Method: CalibrateMean, Quantile: 0.9}, 2.75}, // 27.5 / 10; the quantile is not read
		{Calibration{Method: CalibrateQuantile}, -5},
		{Calibration{Method: CalibrateQuantile, Quantile: 0.09}, -5}, // a tenth below would be too many
		{Calibration{Method: CalibrateQuantile, Quantile: 0.1}, -1},
		{Calibration{Method: CalibrateQuantile, Quantile: 0.25}, 1},
		{Calibration{Method: CalibrateQuantile, Quantile: 0.5}, 3.5},
		{Calibration{Method: CalibrateQuantile, Quantile: 0.999}, 9},
	} {
		got, err := c.cfg.Statistic(scores)
		require.NoError(t, err)
		assert.InDelta(t, c.want, got, 1e-15, "%+v", c.cfg)
	}
	assert.Equal(t, -5.0, scores[4], "the scores keep their order")
	for _, m := range []CalibrationMethod{CalibrateMean, CalibrateQuantile} {
		_, err := Calibration{Method: m}.Statistic([]float64{1, math.NaN()})
		assert.ErrorContains(t, err, "not finite")
	}
}

// calibrated gives a tiny model a bias and calibrates it on pairs.
func calibrated(t *testing.T, bias float32, pairs []data.Pair, cfg Calibration) (*model.Params, *Scorer, Level) {
	t.Helper()
	p := tinyModel(t)
	p.Get("score.bias").Value.Float32s()[0] = bias
	s, err := NewScorer(p, 256, 32)
	require.NoError(t, err)
	l, err := CalibratePairs(t.Context(), s, pairs, cfg)
	require.NoError(t, err)
	return p, s, l
}

// answersOf are prompt and answer of the pairs: the chosen ones, and all.
func answersOf(pairs []data.Pair) (chosen, all [][]int32) {
	chosen = sequencesOf(pairs)
	all = append(all, chosen...)
	for _, p := range pairs {
		all = append(all, append(append([]int32{}, p.Prompt...), p.Rejected...))
	}
	return chosen, all
}

// The level that was asked for is where the scores are, however the bias was before; nothing but
// the bias moves.
func TestCalibrate(t *testing.T) {
	pairs := tastes(6, 20)
	chosen, all := answersOf(pairs)
	below := func(scores []float64, level float64) (n int) {
		for _, s := range scores {
			if s < level-1e-5 { // the bias is rounded to float32
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		cfg   Calibration
		check func(chosen, all []float64)
	}{
		{Calibration{Method: CalibrateMean, Level: 0.25}, func(_, all []float64) {
			sum := 0.0
			for _, s := range all {
				sum += s
			}
			assert.InDelta(t, 0.25, sum/40, 1e-6)
		}},
		{Calibration{Method: CalibrateQuantile, Quantile: 0.1, Level: -1.7}, func(_, all []float64) {
			assert.Equal(t, 4, below(all, -1.7))
		}},
		{Calibration{Method: CalibrateQuantile, Quantile: 0.25, Level: 2, Answers: CalibrateChosen}, func(chosen, _ []float64) {
			assert.Equal(t, 5, below(chosen, 2))
		}},
	} {
		var first Level
		for i, bias := range []float32{0, -6, 6, 1e-3} {
			p, s, l := calibrated(t, bias, pairs, c.cfg)
			c.check(score(t, s, chosen), score(t, s, all))
			assert.Equal(t, float64(bias), l.Before)
			assert.Equal(t, float64(p.Get("score.bias").Value.Float32s()[0]), l.Bias)
			assert.Equal(t, map[CalibrationAnswers]int{CalibrateAll: 40, CalibrateChosen: 20}[c.cfg.Answers], l.Scored)
			if l.Before = 0; i == 0 {
				first = l
			}
			assert.Equal(t, first, l, "the same bits for bias %v", bias)
			untouched := tinyModel(t)
			untouched.Get("score.bias").Value.Float32s()[0] = float32(l.Bias)
			assert.Equal(t, numbers(untouched), numbers(p))
		}
	}
}

func TestCalibrateNone(t *testing.T) {
	p, _, l := calibrated(t, -6, nil, Calibration{Quantile: 0.5, Level: 3})
	assert.Equal(t, float32(-6), p.Get("score.bias").Value.Float32s()[0])
	assert.Equal(t, Level{Quantile: 0.5, Level: 3, Before: -6, Bias: -6}, l)
}

// An error leaves the bias as it was.
func TestCalibrateRefuses(t *testing.T) {
	p := tinyModel(t)
	bias := p.Get("score.bias").Value.Float32s()
	bias[0] = 2
	s, err := NewScorer(p, 256, 32)
	require.NoError(t, err)
	pairs := tastes(6, 3)
	_, err = CalibratePairs(t.Context(), s, nil, DefaultCalibration())
	assert.ErrorIs(t, err, data.ErrEmpty)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = CalibratePairs(ctx, s, pairs, DefaultCalibration())
	assert.ErrorIs(t, err, context.Canceled)
	weight := p.Get("score.weight").Value.Float32s()
	kept := weight[0]
	weight[0] = float32(math.NaN())
	_, err = CalibratePairs(t.Context(), s, pairs, DefaultCalibration())
	assert.ErrorContains(t, err, "is NaN")
	weight[0] = kept
	_, err = CalibratePairs(t.Context(), s, pairs, Calibration{Method: 7, Quantile: 1, Level: math.Inf(1), Answers: 2})
	for _, want := range []string{"Calibration.Method is 7, want none, mean or quantile", "Calibration.Quantile is 1, want a share in [0, 1)",
		"Calibration.Level is +Inf, want a finite raw score", "Calibration.Answers is 2, want all or chosen"} {
		assert.ErrorContains(t, err, want)
	}
	assert.ErrorContains(t, Calibration{Quantile: -0.1}.Validate(), "Quantile is -0.1")
	assert.Equal(t, float32(2), bias[0])

	double := p.As(tensor.Float64)
	p.DropHead()
	_, err = CalibratePairs(t.Context(), s, pairs, DefaultCalibration())
	assert.ErrorContains(t, err, "float32 weights and a scalar head")
	if s, err = NewScorer(double, 256, 32); err == nil {
		_, err = CalibratePairs(t.Context(), s, pairs, DefaultCalibration())
	}
	assert.Error(t, err)
}

// The default level is the gate's: an answer at it has a reward of 0.15 as a probability.
func TestDefaultCalibration(t *testing.T) {
	c := DefaultCalibration()
	require.NoError(t, c.Validate())
	assert.InDelta(t, 0.15, 1/(1+math.Exp(-c.Level)), 1e-15)
	raw, err := json.Marshal(c)
	require.NoError(t, err)
	var back Calibration
	require.NoError(t, json.Unmarshal(raw, &back))
	assert.Equal(t, c, back)
	assert.Contains(t, string(raw), `"Method":"quantile"`)
	assert.ErrorContains(t, json.Unmarshal([]byte(`{"Method":"median"}`), &back), `unknown calibration method "median", want none, mean or quantile`)
	assert.ErrorContains(t, json.Unmarshal([]byte(`{"Answers":"best"}`), &back), `unknown choice of answers "best", want all or chosen`)
	_, err = CalibrationMethod(3).MarshalText()
	assert.Error(t, err)
}
