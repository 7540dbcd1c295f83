package main

import (
	"context"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// rewardEvaluation is how a reward model does on held-out pairs: evaluation.json.
type rewardEvaluation struct {
	Accuracy        *count            `json:"accuracy"`
	LongerAnswer    *count            `json:"longer_answer"` // accuracy of preferring the longer answer: no model should need more to beat
	BySet           map[string]*count `json:"by_set"`
	ByRating        map[string]*count `json:"by_rating"`
	UnsafeRecall    *count            `json:"unsafe_recall,omitempty"`
	UnsafePrecision *count            `json:"unsafe_precision,omitempty"`
	MinReward       float64           `json:"min_reward"`
	MeanReward      float64           `json:"mean_reward"`
	MaxReward       float64           `json:"max_reward"`
}

func evaluateReward(ctx context.Context, p *model.Params, pairs []data.Pair, microTokens, microSegments int) (*rewardEvaluation, error) {
	scorer, err := rewardmodel.NewScorer(p, microTokens, microSegments)
	if err != nil {
		return nil, err
	}
	all, err := rewardmodel.Evaluate(ctx, scorer, pairs)
	if err != nil {
		return nil, err
	}
	e := &rewardEvaluation{
		Accuracy: newCount(all.Accuracy), BySet: map[string]*count{}, ByRating: map[string]*count{},
		UnsafeRecall: newCount(all.UnsafeRecall), UnsafePrecision: newCount(all.UnsafePrecision),
		MinReward: all.MinReward, MeanReward: all.MeanReward, MaxReward: all.MaxReward,
	}
	for rating, c := range all.ByRating {
		e.ByRating[rating.String()] = newCount(c)
	}
	lengths := make([]float64, 0, 2*len(pairs))
	for _, pair := range pairs {
		lengths = append(lengths, float64(len(pair.Chosen)), float64(len(pair.Rejected)))
	}
	longer, err := rewardmodel.Judge(pairs, lengths)
	if err != nil {
		return nil, err
	}
	e.LongerAnswer = newCount(longer.Accuracy)
	for _, set := range []data.Set{data.HelpfulnessSet, data.SafetySet} {
		own, _ := rewardmodel.BySet(pairs, set)
		if len(own) == 0 {
			continue
		}
		part, err := rewardmodel.Evaluate(ctx, scorer, own)
		if err != nil {
			return nil, err
		}
		e.BySet[set.String()] = newCount(part.Accuracy)
	}
	return e, nil
}

// String is a table for people.
func (e *rewardEvaluation) String() string {
	var b strings.Builder
	b.WriteString("held out:")
	line(&b, "accuracy", e.Accuracy)
	line(&b, "the longer answer", e.LongerAnswer)
	if len(e.BySet) > 1 {
		line(&b, "helpfulness set", e.BySet[data.HelpfulnessSet.String()])
		line(&b, "safety set", e.BySet[data.SafetySet.String()])
	}
	for rating := data.SignificantlyBetter; rating >= data.NegligiblyBetter; rating-- {
		line(&b, rating.String(), e.ByRating[rating.String()])
	}
	line(&b, "recall of unsafe answers", e.UnsafeRecall)
	line(&b, "precision of unsafe answers", e.UnsafePrecision)
	return b.String()
}
