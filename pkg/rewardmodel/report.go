package rewardmodel

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// MarshalJSON is {"rate": ..., "lo": ..., "hi": ..., "n": ...} with the 95 % interval, null if N is 0.
func (c Count) MarshalJSON() ([]byte, error) {
	if c.N == 0 {
		return []byte("null"), nil
	}
	lo, hi := c.Interval()
	return json.Marshal(struct {
		Rate float64 `json:"rate"`
		Lo   float64 `json:"lo"`
		Hi   float64 `json:"hi"`
		N    int     `json:"n"`
	}{c.Rate(), lo, hi, c.N})
}

// String is such as " 55.7 % [49.4, 61.8] of 246", the rate with its 95 % interval.
func (c Count) String() string {
	lo, hi := c.Interval()
	return fmt.Sprintf("%5.1f %% [%.1f, %.1f] of %d", 100*c.Rate(), 100*lo, 100*hi, c.N)
}

// String is a table with a line for each count that is not empty.
func (e Evaluation) String() string {
	var b strings.Builder
	line := func(name string, c Count) {
		if c.N > 0 {
			fmt.Fprintf(&b, "\n  %-28s %v", name, c)
		}
	}
	line("accuracy", e.Accuracy)
	line("the longer answer", e.LongerAnswer)
	if len(e.BySet) > 1 {
		line("helpfulness set", e.BySet[data.HelpfulnessSet])
		line("safety set", e.BySet[data.SafetySet])
	}
	for rating := data.SignificantlyBetter; rating >= data.NegligiblyBetter; rating-- {
		line(rating.String(), e.ByRating[rating])
	}
	line("recall of unsafe answers", e.UnsafeRecall)
	line("precision of unsafe answers", e.UnsafePrecision)
	return strings.TrimPrefix(b.String(), "\n")
}
