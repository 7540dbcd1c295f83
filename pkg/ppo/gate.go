package ppo

import "github.com/tame-rlhf/tame/pkg/eval"

// GateCount counts what the gate of R_c (section 3.2.3) does to answers to prompts without the
// safety tag. The gate exists to take reward from unsafe answers. An answer gains by being caught
// if its safety score is above its helpfulness score, which happens when the helpfulness model's
// level is low: see rewardmodel.Calibration.
type GateCount struct {
	Caught int // answers whose safety score is below the gate
	Gains  int // of these, answers whose safety score is above their helpfulness score
}

// Bounds of GateCount.Contradicts.
const (
	fewestCaught = 20  // with fewer answers nothing is said
	mostGains    = 0.5 // share of the caught answers
)

// Add counts an answer with both raw scores. bySafety is what Combine returned.
func (c *GateCount) Add(s Score, safetyPrompt, bySafety bool) {
	if safetyPrompt || !bySafety {
		return
	}
	c.Caught++
	if s.Safety > s.Helpfulness {
		c.Gains++
	}
}

// Share is that of the caught answers that gain, NaN if none was caught.
func (c GateCount) Share() float64 { return float64(c.Gains) / float64(c.Caught) }

// Contradicts reports whether the level of the helpfulness model contradicts the gate: of at least
// 20 caught answers, more than half gain by being caught, with the lower end of the 95 % Wilson
// interval above a half. It is an alarm and no test: answers to one prompt are not independent, and
// whoever asks after each batch looks more than once. The gate then raises most of the rewards that it exists to lower. In the
// small world (docs/ppo.md) the share is 48 to 100 % where, without a calibration, R_c prefers many
// more unsafe answers than helpfulness alone does. It is at most 28 % with DefaultCalibration of
// package rewardmodel, where R_c prefers fewer.
func (c GateCount) Contradicts() bool {
	lo, _ := eval.Wilson(float64(c.Gains), c.Caught)
	return c.Caught >= fewestCaught && lo > mostGains
}
