package rewardmodel

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// CalibrationMethod says which statistic of the scores a calibration moves to Calibration.Level.
type CalibrationMethod int

// The methods.
const (
	CalibrateNone     CalibrationMethod = iota // leaves the head as it is
	CalibrateMean                              // moves the mean of the scores
	CalibrateQuantile                          // moves a quantile of the scores
)

// CalibrationAnswers says which answers of the pairs a calibration scores.
type CalibrationAnswers int

// The choices.
const (
	CalibrateAll    CalibrationAnswers = iota // both answers of each pair
	CalibrateChosen                           // the chosen answer of each pair
)

// Calibration gives the scores of a helpfulness model an absolute level. The ranking loss compares
// two answers to one prompt, so it leaves the level open: a constant added to all scores changes no
// loss. R_c of section 3.2.3 depends on the level, because it compares helpfulness scores of some
// answers with the safety scores of those that the gate has caught, which are below logit(0.15). An
// unsafe answer gains by being caught if its safety score is above its helpfulness score. It can't
// gain if its helpfulness score is at or above the gate's logit.
//
// Do not calibrate a safety model that has learnt from labels: its level comes from "safe" and
// "unsafe", and the gate depends on it. Take DefaultCalibration and change what differs.
type Calibration struct {
	// Method is the statistic that is moved to Level. The paper says nothing of a calibration.
	// Open: quantile.
	Method CalibrationMethod
	// Quantile is the share of the answers that may have a score below Level, in [0, 1): 0 puts the
	// lowest score at Level. Used by the method quantile alone. Open: 0.05.
	Quantile float64
	// Level is where the mean or the quantile goes, a raw score (logit). Open: logit(0.15) =
	// -1.735, the gate of section 3.2.3; with the method mean, 0 is usual.
	Level float64
	// Answers are those that are scored, both of each pair or the chosen one. Open: all.
	Answers CalibrationAnswers
}

// DefaultCalibration puts all but the worst twentieth of the answers above the gate of section
// 3.2.3.
func DefaultCalibration() Calibration {
	gate := 0.15
	return Calibration{Method: CalibrateQuantile, Quantile: 0.05, Level: math.Log(gate / (1 - gate)), Answers: CalibrateAll}
}

// Validate reports every setting that makes no sense.
func (c Calibration) Validate() error {
	check := setting.NewChecks("rewardmodel: Calibration")
	check.That(c.Method >= CalibrateNone && c.Method <= CalibrateQuantile, "Method", int(c.Method), "none, mean or quantile")
	check.That(c.Quantile >= 0 && c.Quantile < 1, "Quantile", c.Quantile, "a share in [0, 1)")
	check.That(!math.IsNaN(c.Level) && !math.IsInf(c.Level, 0), "Level", c.Level, "a finite raw score")
	check.That(c.Answers == CalibrateAll || c.Answers == CalibrateChosen, "Answers", int(c.Answers), "all or chosen")
	return check.Err()
}

// Level is what a calibration did. All numbers but Scored are raw scores.
type Level struct {
	Method   CalibrationMethod  `json:"method"`
	Quantile float64            `json:"quantile"`
	Answers  CalibrationAnswers `json:"answers"`
	Level    float64            `json:"level"`  // that was asked for
	Scored   int                `json:"scored"` // number of answers
	Found    float64            `json:"found"`  // the statistic of the scores with a bias of 0
	Before   float64            `json:"before"` // the head's bias before
	Bias     float64            `json:"bias"`   // the head's bias now: Level - Found
}

// LevelFile is the file of a reward model's folder that says what moved its bias. The weights have
// the bias already: the file is for readers.
const LevelFile = "calibration.json"

// Write writes LevelFile into a model's folder; nothing if no calibration was asked for.
func (l Level) Write(dir string) error {
	if l.Method == CalibrateNone {
		return nil
	}
	return run.WriteJSON(filepath.Join(dir, LevelFile), l)
}

// String says what was done, in a line.
func (l Level) String() string {
	if l.Method == CalibrateNone {
		return fmt.Sprintf("not calibrated, the bias is %.3f", l.Bias)
	}
	what := "mean"
	if l.Method == CalibrateQuantile {
		what = fmt.Sprintf("quantile %g", l.Quantile)
	}
	return fmt.Sprintf("calibrated: the %s of the scores of %d answers is at %.3f; the bias was %.3f and is %.3f", what, l.Scored, l.Level, l.Before, l.Bias)
}

// CalibratePairs is Calibrate on the answers of pairs that cfg.Answers names.
func CalibratePairs(ctx context.Context, s *Scorer, pairs []data.Pair, cfg Calibration) (Level, error) {
	answers := data.AnswersOf(pairs)
	if cfg.Answers == CalibrateChosen {
		for i := range pairs {
			answers[i] = answers[2*i]
		}
		answers = answers[:len(pairs)]
	}
	return Calibrate(ctx, s, answers, cfg)
}

// Calibrate moves the bias of the scorer's model, a helpfulness model with float32 weights, so that
// the mean or the quantile of the scores of these answers becomes cfg.Level (section 3.2.3).
// Differences between scores stay as they are. Score answers of the model that is to be trained
// next, because their level is what the gate meets.
//
// The bias is set to 0 before scoring, so the result is the same, bit for bit, whatever the bias
// was. An error leaves the bias as it was.
func Calibrate(ctx context.Context, s *Scorer, answers []data.Answer, cfg Calibration) (Level, error) {
	if err := cfg.Validate(); err != nil {
		return Level{}, err
	}
	if s.params.DType() != tensor.Float32 || !s.params.HasHead() {
		return Level{}, errors.New("rewardmodel: calibration: the model needs float32 weights and a scalar head")
	}
	bias := s.params.Get("score.bias").Value.Float32s()
	before := bias[0]
	l := Level{Method: cfg.Method, Quantile: cfg.Quantile, Answers: cfg.Answers, Level: cfg.Level, Before: float64(before), Bias: float64(before)}
	if cfg.Method == CalibrateNone {
		return l, nil
	}
	if err := data.NotEmpty("there are no answers to score", len(answers)); err != nil {
		return Level{}, fmt.Errorf("rewardmodel: calibration: %w", err)
	}
	bias[0] = 0
	scores, err := s.ScoreAnswers(ctx, answers)
	if err == nil {
		l.Found, err = cfg.Statistic(scores)
	}
	if err != nil {
		bias[0] = before
		return Level{}, err
	}
	bias[0] = float32(cfg.Level - l.Found)
	l.Scored, l.Bias = len(scores), float64(bias[0])
	return l, nil
}

// Statistic is what the calibration moves: the mean of the scores, or their quantile, the highest
// score that at most the share Quantile of them is below. It is 0 for the method none.
func (c Calibration) Statistic(scores []float64) (x float64, err error) {
	if err := errors.Join(c.Validate(), data.NotEmpty("there are no scores", len(scores))); err != nil {
		return 0, fmt.Errorf("rewardmodel: calibration: %w", err)
	}
	switch c.Method {
	case CalibrateQuantile:
		sorted := slices.Sorted(slices.Values(scores))
		x = sorted[int(c.Quantile*float64(len(sorted)))]
	case CalibrateMean:
		for _, s := range scores {
			x += s / float64(len(scores))
		}
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, errors.New("rewardmodel: calibration: the scores are not finite: the model's weights have diverged or are damaged")
	}
	return x, nil
}
