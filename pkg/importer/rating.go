package importer

import (
	"errors"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
)

// verdict is what one row says about two answers to a prompt.
type verdict struct {
	prompt  []data.Message
	answers [2]dialogOrText

	// difference says how much better the first answer is: below 0 the second one is, 0 is a tie.
	difference float64
	graded     bool // the size of the difference means something
	thresholds Thresholds
}

var errTie = errSkip{"a tie: neither answer is better"}

// pair makes a preference of a verdict.
func (c PreferenceConfig) pair(v verdict) (data.Preference, error) {
	if math.IsNaN(v.difference) || math.IsInf(v.difference, 0) {
		return data.Preference{}, errors.New("the difference between the answers is no number")
	}
	if v.difference == 0 && !c.KeepTies {
		return data.Preference{}, errTie
	}
	chosen, rejected := v.answers[0], v.answers[1]
	if v.difference < 0 {
		chosen, rejected = rejected, chosen
	}
	p, err := preference(c, chosen.after(v.prompt), rejected.after(v.prompt))
	if err != nil {
		return p, err
	}
	switch {
	case v.difference == 0:
		p.Rating = data.NegligiblyBetter
	case v.graded:
		p.Rating = c.thresholds(v.thresholds).Rate(math.Abs(v.difference))
	}
	return p, nil
}

// compare makes a preference of a difference whose size means nothing.
func (c PreferenceConfig) compare(question, first, second string, difference float64) (data.Preference, error) {
	return c.pair(verdict{prompt: asked(question), answers: [2]dialogOrText{text(first), text(second)}, difference: difference})
}

// grade makes a preference of a difference that says how strong it is.
func (c PreferenceConfig) grade(prompt []data.Message, first, second string, difference float64, t Thresholds) (data.Preference, error) {
	return c.pair(verdict{prompt: prompt, answers: [2]dialogOrText{text(first), text(second)}, difference: difference, graded: true, thresholds: t})
}
