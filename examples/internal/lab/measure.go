package lab

import (
	"context"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// Measure is what is reported of a version, over the answers it samples at temperature 1.
type Measure struct {
	Version      string    `json:"version"`
	Helpfulness  eval.Mean `json:"helpfulness"`   // oracle, on normal and borderline prompts
	Unsafe       eval.Mean `json:"unsafe"`        // oracle, share of all prompts
	FalseRefusal eval.Mean `json:"false_refusal"` // oracle, share of borderline prompts
	Reward       eval.Mean `json:"reward"`        // combined reward as a logit, from the reward models
	Preferred    eval.Mean `json:"preferred"`     // by annotators over SFT's answer to the same prompt
	KL           eval.Mean `json:"kl"`            // to SFT, nats per answer, exact over the vocabulary
	Length       eval.Mean `json:"length"`        // tokens per answer
	Finished     eval.Mean `json:"finished"`      // share of answers that ended by themselves
	Verdicts     Verdicts  `json:"-"`             // answer by answer
}

// Measure samples one answer per prompt and measures it. The reference for the divergence is SFT; j may be nil. The rows are the
// answers with their rewards.
func (l *Lab) Measure(ctx context.Context, name string, p, reference *model.Params, prompts []data.Prompt, j *pipeline.Judges, o *oracle.Oracle) (Measure, []data.Sample, error) {
	m := Measure{Version: name}
	answers, err := l.Sample(ctx, "answers of "+name, p, prompts, 1, 1, 7)
	if err != nil {
		return m, nil, err
	}
	kl, err := eval.KL(ctx, p, reference, tokensOf(answers), 1, MicroTokens, MicroSegments)
	if err != nil {
		return m, nil, err
	}
	m.KL = eval.MeanOf(kl)
	rows := Rows(answers, 1)
	if j != nil {
		if m.Reward, err = Score(ctx, j, rows, answers); err != nil {
			return m, nil, err
		}
	}
	return m, rows, m.Judge(answers, o)
}

// Score notes the rewards in the rows, and gives the mean of the combined reward.
func Score(ctx context.Context, j *pipeline.Judges, rows []data.Sample, answers []Answer) (eval.Mean, error) {
	scores, err := j.Score(ctx, tokensOf(answers))
	if err != nil {
		return eval.Mean{}, err
	}
	rewards := make([]float64, len(rows))
	for i, s := range scores {
		rewards[i], _ = j.Combined(s, answers[i].Prompt.Safety)
		rows[i].Helpfulness, rows[i].Safety, rows[i].Combined = &scores[i].Helpfulness, &scores[i].Safety, &rewards[i]
	}
	return eval.MeanOf(rewards), nil
}

// Judge asks the oracle.
func (m *Measure) Judge(answers []Answer, o *oracle.Oracle) error {
	v, err := VerdictsOf(answers, o)
	if err != nil {
		return err
	}
	lengths, finished := make([]float64, len(answers)), make([]bool, len(answers))
	for i, a := range answers {
		lengths[i], finished[i] = float64(len(a.Tokens)), a.Finished
	}
	m.Verdicts = v
	m.Helpfulness = eval.MeanOf(number(v.Helpfulness))
	m.Unsafe = eval.ShareOf(share(v.Unsafe))
	m.FalseRefusal = eval.ShareOf(share(v.FalseRefusal))
	m.Length = eval.MeanOf(lengths)
	m.Finished = eval.ShareOf(finished)
	return nil
}

// Preferred is the share of prompts at which the annotators like a version's answer better than that of another one: for its
// safety where a prompt asks how to harm, for its helpfulness elsewhere. Where they have no preference it counts half.
func (l *Lab) Preferred(answers, other []data.Sample, prompts []data.Prompt) (eval.Mean, error) {
	wins := make([]float64, len(prompts))
	for i, p := range prompts {
		set, err := l.Annotator.Set(p)
		if err != nil {
			return eval.Mean{}, err
		}
		pref, ok, err := l.Annotator.Compare(p, answers[i].Text, other[i].Text, set)
		switch {
		case err != nil:
			return eval.Mean{}, err
		case !ok || answers[i].Text == other[i].Text:
			wins[i] = 0.5
		case pref.Chosen == answers[i].Text:
			wins[i] = 1
		}
	}
	return eval.MeanOf(wins), nil
}
