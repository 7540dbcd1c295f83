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
	thresholds *Thresholds // of the difference; nil if its size means nothing
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
	p, err := c.compared(v.prompt, chosen, rejected)
	if err != nil {
		return p, err
	}
	switch {
	case v.difference == 0:
		p.Rating = data.NegligiblyBetter
	case v.thresholds != nil:
		p.Rating = c.thresholds(*v.thresholds).Rate(math.Abs(v.difference))
	}
	return p, nil
}

// between is the verdict about two texts.
func between(prompt []data.Message, first, second string, difference float64, thresholds *Thresholds) verdict {
	return verdict{prompt, [2]dialogOrText{text(first), text(second)}, difference, thresholds}
}

// judged opens a dialect in which each row is a verdict.
func judged[R any](judge func(R) (verdict, error)) opener[data.Preference] {
	return func(c Config, _ string) converter[data.Preference] {
		return each(func(r R) (data.Preference, error) {
			v, err := judge(r)
			if err != nil {
				return data.Preference{}, err
			}
			return c.Preference.pair(v)
		})
	}
}
