package distill

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tame-rlhf/tame/pkg/eval"
)

// Summary counts the candidates of one category, or of all. A mean over no candidates is NaN.
type Summary struct {
	Category   string // "" for all, and for generic pre-prompts
	Candidates int
	Kept       eval.Mean // share that was kept, with the Wilson interval
	Ties       int       // finished with the same score as the original answer
	Unfinished int       // distilled answers that ran into the length limit, never kept
	Empty      int       // distilled answers without a text, never kept
	Original   eval.Mean // score of the answers without pre-prompt
	Distilled  eval.Mean // score of the answers with it
	Gain       eval.Mean // Distilled - Original, candidate by candidate
	KeptGain   eval.Mean // the same of those that were kept
}

func summarise(candidates []Candidate) (all Summary, byCategory []Summary) {
	groups := map[string][]Candidate{}
	for _, c := range candidates {
		groups[c.PrePrompt.Category] = append(groups[c.PrePrompt.Category], c)
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		byCategory = append(byCategory, summary(name, groups[name]))
	}
	return summary("", candidates), byCategory
}

func summary(category string, candidates []Candidate) Summary {
	s := Summary{Category: category, Candidates: len(candidates)}
	var kept []bool
	var original, distilled, gain, keptGain []float64
	for _, c := range candidates {
		kept = append(kept, c.Kept)
		original, distilled = append(original, c.Original.Score), append(distilled, c.Distilled.Score)
		gain = append(gain, c.Gain())
		switch {
		case !c.Distilled.Finished:
			s.Unfinished++
		case c.Distilled.Empty():
			s.Empty++
		case c.Gain() == 0:
			s.Ties++
		}
		if c.Kept {
			keptGain = append(keptGain, c.Gain())
		}
	}
	s.Kept, s.Original, s.Distilled = eval.ShareOf(kept), eval.MeanOf(original), eval.MeanOf(distilled)
	s.Gain, s.KeptGain = eval.MeanOf(gain), eval.MeanOf(keptGain)
	return s
}

// Gain is by how much the pre-prompt raised the score.
func (c Candidate) Gain() float64 { return c.Distilled.Score - c.Original.Score }

// GainLevel is the mean gain of the candidates whose original answers have about the same score.
type GainLevel struct {
	Lo, Hi float64 // the least and the greatest score of the original answers
	Gain   eval.Mean
}

// GainByOriginal shows whom the pre-prompt helps (figure 16, right): candidates in order of the original answer's score, cut into so many parts as
// equal as can be. In the paper the gain is large where the score was low, and negative where it was high: the reason for the filter.
func (r Result) GainByOriginal(parts int) ([]GainLevel, error) {
	if parts < 1 || parts > len(r.Candidates) {
		return nil, fmt.Errorf("distill: %d parts of %d candidates, want at least 1 and no more than candidates", parts, len(r.Candidates))
	}
	sorted := slices.SortedStableFunc(slices.Values(r.Candidates), func(a, b Candidate) int {
		return cmp.Compare(a.Original.Score, b.Original.Score)
	})
	levels := make([]GainLevel, parts)
	for i := range levels {
		part := sorted[i*len(sorted)/parts : (i+1)*len(sorted)/parts]
		levels[i] = GainLevel{Lo: part[0].Original.Score, Hi: part[len(part)-1].Original.Score, Gain: summary("", part).Gain}
	}
	return levels, nil
}

// Comparison sets generic beside targeted pre-prompts on the candidates that both have (figure 16, left).
type Comparison struct {
	Candidates                  int
	Original, Generic, Targeted eval.Mean // scores
	TargetedGain                eval.Mean // targeted - generic, candidate by candidate
	GenericKept, TargetedKept   eval.Mean // shares
	// Scores are the distributions of the original, the generic and the targeted scores; its low tail is what lies below the 5 % quantile of
	// the original ones.
	Scores eval.Distributions
}

// Compare compares two results with the same model, score and seed, and so with the same original answers.
func Compare(generic, targeted Result) (Comparison, error) {
	type key struct {
		id     string
		sample int
	}
	known := map[key]Candidate{}
	for _, c := range generic.Candidates {
		known[key{c.Prompt.ID, c.Sample}] = c
	}
	var scores [3][]float64
	var gain []float64
	var kept [2][]bool
	for _, t := range targeted.Candidates {
		g, both := known[key{t.Prompt.ID, t.Sample}]
		if !both {
			continue
		}
		if !slices.Equal(g.Original.Tokens, t.Original.Tokens) || g.Original.Score != t.Original.Score {
			return Comparison{}, fmt.Errorf("distill: the original answers to prompt %q differ: compare results of one model, score and seed", t.Prompt.ID)
		}
		for i, s := range [3]float64{g.Original.Score, g.Distilled.Score, t.Distilled.Score} {
			scores[i] = append(scores[i], s)
		}
		gain = append(gain, t.Distilled.Score-g.Distilled.Score)
		kept[0], kept[1] = append(kept[0], g.Kept), append(kept[1], t.Kept)
	}
	if len(gain) == 0 {
		return Comparison{}, errors.New("distill: the results share no prompt")
	}
	d, err := eval.Distribute(scores[:], comparisonBins, eval.Quantile(scores[0], 0.05))
	if err != nil {
		return Comparison{}, fmt.Errorf("distill: %w", err)
	}
	return Comparison{
		Candidates: len(gain), Original: d.Versions[0].Mean, Generic: d.Versions[1].Mean, Targeted: d.Versions[2].Mean,
		TargetedGain: eval.MeanOf(gain), GenericKept: eval.ShareOf(kept[0]), TargetedKept: eval.ShareOf(kept[1]), Scores: d,
	}, nil
}

const comparisonBins = 20
