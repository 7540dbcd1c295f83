package pipeline

import (
	"context"
	"errors"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
)

// AskModels is an annotator that is two reward models, each the only one of its Judges. The answer
// with the higher score is chosen, by the safety model in the safety set, else by the helpfulness
// model; the difference of the scores decides the rating, and the safety model labels both answers.
// One of them may be nil: the other one chooses in both sets then.
func AskModels(helpfulness, safety *Judges, tmpl *data.Template) Annotate {
	return func(ctx context.Context, list []Comparison) ([]*data.Preference, error) {
		answers, err := encodeComparisons(tmpl, list)
		if err != nil {
			return nil, err
		}
		var scores [2][]float64
		for i, judges := range []*Judges{helpfulness, safety} {
			if judges == nil || len(answers) == 0 {
				continue
			}
			if scores[i], err = judges.Reward(ctx, answers); err != nil {
				return nil, err
			}
		}
		preferences := make([]*data.Preference, len(list))
		for i, c := range list {
			deciding, labels := scores[0], scores[1]
			if deciding == nil || c.Set == data.SafetySet && labels != nil {
				deciding = labels
			}
			p := c.byScores(deciding[2*i], deciding[2*i+1])
			if labels != nil {
				p.ChosenSafe, p.RejectedSafe = safetyLabel(labels[2*i]), safetyLabel(labels[2*i+1])
				if p.Chosen != c.First {
					p.ChosenSafe, p.RejectedSafe = p.RejectedSafe, p.ChosenSafe
				}
			}
			preferences[i] = p
		}
		return preferences, nil
	}
}

// encodeComparisons are both answers of each comparison as ids.
func encodeComparisons(tmpl *data.Template, list []Comparison) (answers []data.Answer, err error) {
	for _, c := range list {
		for _, text := range []string{c.First, c.Second} {
			messages := append(append([]data.Message(nil), c.Prompt.Messages...), data.Message{Role: data.Assistant, Content: text})
			answer, err := tmpl.EncodeAnswer(messages)
			if errors.Is(err, data.ErrTag) { // a model that has learned little may write a tag; nobody can read that
				messages[len(messages)-1].Content = ""
				answer, err = tmpl.EncodeAnswer(messages)
			}
			if err != nil {
				return nil, err
			}
			answers = append(answers, answer)
		}
	}
	return answers, nil
}

// byScores chooses the answer with the higher score, the first of equal ones. The model's own
// probability of that choice decides the rating: below 60, 75 and 90 %.
func (c Comparison) byScores(first, second float64) *data.Preference {
	p := &data.Preference{Messages: c.Prompt.Messages, Chosen: c.First, Rejected: c.Second, Rating: data.SignificantlyBetter, Set: c.Set}
	if second > first {
		p.Chosen, p.Rejected = c.Second, c.First
	}
	sure := 1 / (1 + math.Exp(-math.Abs(first-second)))
	for i, limit := range []float64{0.6, 0.75, 0.9} {
		if sure < limit {
			p.Rating = data.NegligiblyBetter + data.Rating(i)
			break
		}
	}
	return p
}

// safetyLabel is unsafe below a probability of 0.5.
func safetyLabel(score float64) data.Safety {
	if score < 0 {
		return data.Unsafe
	}
	return data.Safe
}
