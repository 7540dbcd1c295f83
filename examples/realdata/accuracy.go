package main

import (
	"context"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// testRewardModels measures each model on each group of pairs.
func testRewardModels(ctx context.Context, models []version, tested []comparison) ([]accuracyRow, error) {
	groups := map[string]*testSet{}
	for _, c := range tested {
		if groups[c.group] == nil {
			groups[c.group] = &testSet{prompts: map[string]int{}}
		}
		groups[c.group].add(c)
	}
	var rows []accuracyRow
	for _, group := range []string{groupPandaLM, groupNatural, groupAdversarial, groupProcessed, groupHarmless} {
		set, ok := groups[group]
		if !ok {
			continue
		}
		longer, err := set.judge(set.lengths())
		if err != nil {
			return nil, err
		}
		row := accuracyRow{Group: group, Pairs: len(set.pairs), Prompts: len(set.prompts), Longer: longer.All, Models: map[string]accuracies{}}
		for _, m := range models {
			scorer, err := rewardmodel.NewScorer(m.model, microTokens, microSegments)
			if err != nil {
				return nil, err
			}
			scores, err := scorer.ScoreAnswers(ctx, data.AnswersOf(set.pairs))
			if err != nil {
				return nil, err
			}
			if row.Models[m.name], err = set.judge(scores); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// testSet is pairs, and which of them have their prompt in common.
type testSet struct {
	pairs   []data.Pair
	prompt  []int // of each pair
	prompts map[string]int
}

func (s *testSet) add(c comparison) {
	id := data.DialogID(c.Messages)
	if _, known := s.prompts[id]; !known {
		s.prompts[id] = len(s.prompts)
	}
	s.pairs, s.prompt = append(s.pairs, c.pair), append(s.prompt, s.prompts[id])
}

// lengths are scores that favour the longer answer: what a model that only counts tokens would reach.
func (s *testSet) lengths() []float64 {
	var scores []float64
	for _, p := range s.pairs {
		scores = append(scores, float64(len(p.Chosen)), float64(len(p.Rejected)))
	}
	return scores
}

// judge counts how often the chosen answer has the higher score.
func (s *testSet) judge(scores []float64) (accuracies, error) {
	all := make([]rewardmodel.Count, len(s.prompts))
	byRating := map[string][]rewardmodel.Count{}
	for i, p := range s.pairs {
		e, err := rewardmodel.Judge([]data.Pair{p}, scores[2*i:2*i+2])
		if err != nil {
			return accuracies{}, err
		}
		rating := p.Rating.String()
		if byRating[rating] == nil {
			byRating[rating] = make([]rewardmodel.Count, len(s.prompts))
		}
		for _, c := range []*rewardmodel.Count{&all[s.prompt[i]], &byRating[rating][s.prompt[i]]} {
			c.Hits += e.Accuracy.Hits
			c.N++
		}
	}
	a := accuracies{All: clustered(all), ByRating: map[string]eval.Mean{}}
	for rating, counts := range byRating {
		a.ByRating[rating] = clustered(counts)
	}
	return a, nil
}

// clustered is the share of hits over all prompts. Pairs of one prompt are alike, so the interval is that of as many
// independent pairs as have the variance p(1-p)/n of the sum over prompts, and of no more than there are.
func clustered(prompts []rewardmodel.Count) eval.Mean {
	hits, n, clusters := 0.0, 0, 0
	for _, c := range prompts {
		hits += c.Hits
		n += c.N
		if c.N > 0 {
			clusters++
		}
	}
	p, variance := hits/float64(n), 0.0
	for _, c := range prompts {
		d := (c.Hits - p*float64(c.N)) / float64(n)
		variance += d * d
	}
	effective := clusters
	if variance > 0 && clusters > 1 {
		variance *= float64(clusters) / float64(clusters-1)
		effective = max(1, min(n, int(math.Round(p*(1-p)/variance))))
	}
	lo, hi := eval.Wilson(p*float64(effective), effective)
	return eval.Mean{Mean: p, Lo: lo, Hi: hi, N: n}
}
