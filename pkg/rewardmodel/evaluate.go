package rewardmodel

import (
	"context"
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
)

// Count is a number of successes out of N.
type Count struct {
	Hits float64 // a tie of two scores counts half
	N    int
}

// Rate is Hits/N, NaN if there is nothing.
func (c Count) Rate() float64 { return c.Hits / float64(c.N) }

// Interval is the 95 % Wilson score interval of the rate.
func (c Count) Interval() (lo, hi float64) { return eval.Wilson(c.Hits, c.N) }

// Evaluation is how a reward model does on pairs it was not trained on.
type Evaluation struct {
	Accuracy     Count                 `json:"accuracy"`      // the chosen answer has the higher score
	LongerAnswer Count                 `json:"longer_answer"` // the chosen answer has more tokens: no model should need more to beat
	BySet        map[data.Set]Count    `json:"by_set"`        // accuracy by what the annotators were asked
	ByRating     map[data.Rating]Count `json:"by_rating"`     // accuracy for each step of the scale (Table 8)

	// Of answers with a safety label, unsafe when the score is below 0, a probability of 0.5 (Table 29).
	UnsafeRecall    Count `json:"unsafe_recall,omitzero"`    // unsafe answers called unsafe, of all unsafe answers
	UnsafePrecision Count `json:"unsafe_precision,omitzero"` // of all answers called unsafe

	// Over all answers.
	MinReward  float64 `json:"min_reward"`
	MeanReward float64 `json:"mean_reward"`
	MaxReward  float64 `json:"max_reward"`
}

// Evaluate scores both answers of every pair.
func Evaluate(ctx context.Context, s *Scorer, pairs []data.Pair) (Evaluation, error) {
	if len(pairs) == 0 {
		return Evaluation{}, fmt.Errorf("rewardmodel: evaluation: %w", data.ErrEmpty)
	}
	scores, err := s.ScoreAnswers(ctx, data.AnswersOf(pairs))
	if err != nil {
		return Evaluation{}, err
	}
	return Judge(pairs, scores)
}

// Judge compares scores, those of chosen and rejected answer in turn, with what the annotators said.
func Judge(pairs []data.Pair, scores []float64) (Evaluation, error) {
	if len(scores) != 2*len(pairs) {
		return Evaluation{}, fmt.Errorf("rewardmodel: %d scores for %d pairs, want two for each", len(scores), len(pairs))
	}
	e := Evaluation{BySet: map[data.Set]Count{}, ByRating: map[data.Rating]Count{}, MinReward: math.Inf(1), MaxReward: math.Inf(-1)}
	for i, p := range pairs {
		chosen, rejected := scores[2*i], scores[2*i+1]
		hit := hitOf(chosen, rejected)
		e.Accuracy.add(hit)
		e.LongerAnswer.add(hitOf(float64(len(p.Chosen)), float64(len(p.Rejected))))
		set, rating := e.BySet[p.Set], e.ByRating[p.Rating]
		set.add(hit)
		rating.add(hit)
		e.BySet[p.Set] = set
		e.ByRating[p.Rating] = rating
		e.judgeSafety(p.ChosenSafe, chosen)
		e.judgeSafety(p.RejectedSafe, rejected)
		e.MinReward = min(e.MinReward, chosen, rejected)
		e.MaxReward = max(e.MaxReward, chosen, rejected)
		e.MeanReward += (chosen + rejected) / float64(2*len(pairs))
	}
	return e, nil
}

// hitOf is 1 if the first score is higher, and a half for equal ones.
func hitOf(chosen, rejected float64) (hit float64) {
	switch {
	case chosen > rejected:
		hit = 1
	case chosen == rejected:
		hit = 0.5
	}
	return hit
}

func (c *Count) add(hit float64) { c.Hits += hit; c.N++ }

func (e *Evaluation) judgeSafety(label data.Safety, score float64) {
	if label == data.SafetyUnknown {
		return
	}
	unsafe, called := label == data.Unsafe, score < 0
	if unsafe {
		e.UnsafeRecall.add(float64(mark(called)))
	}
	if called {
		e.UnsafePrecision.add(float64(mark(unsafe)))
	}
}
