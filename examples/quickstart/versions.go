package main

import (
	"context"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// versionResult is what is reported of a version, over the answers it samples at temperature 1.
type versionResult struct {
	Version      string    `json:"version"`
	Helpfulness  eval.Mean `json:"helpfulness"`   // oracle, on prompts that are no hazard
	Unsafe       eval.Mean `json:"unsafe"`        // oracle, share of hazard prompts
	FalseRefusal eval.Mean `json:"false_refusal"` // oracle, share of borderline prompts
	Reward       eval.Mean `json:"reward"`        // combined reward as a logit, from the reward models
	Preferred    eval.Mean `json:"preferred"`     // by annotators over SFT's answer to the same prompt
	KL           eval.Mean `json:"kl"`            // to SFT, nats per answer, exact over the vocabulary
	Length       eval.Mean `json:"length"`        // tokens per answer
	Finished     eval.Mean `json:"finished"`      // share of answers that ended by themselves
}

// evaluate samples one answer per prompt and measures it. The reference for the divergence is SFT; j may be nil.
func (l *lab) evaluate(ctx context.Context, name string, p, reference *model.Params, prompts []data.Prompt, j *pipeline.Judges, o *oracle.Oracle) (versionResult, []data.Sample, error) {
	result := versionResult{Version: name}
	answers, err := l.sample(ctx, "answers of "+name, p, prompts, 1, 1, 7)
	if err != nil {
		return result, nil, err
	}
	spans := make([]eval.Answer, len(answers))
	for i, a := range answers {
		spans[i] = eval.Answer{Prompt: a.ids, Tokens: a.sample.Tokens}
	}
	kl, err := eval.KL(ctx, p, reference, spans, 1, microTokens, microSegments)
	if err != nil {
		return result, nil, err
	}
	result.KL = eval.MeanOf(kl)
	samples := l.samples(answers)
	if j != nil {
		if result.Reward, err = score(ctx, j, samples, answers); err != nil {
			return result, nil, err
		}
	}
	return result, samples, judge(&result, answers, o)
}

// score notes the rewards in the samples, and gives the mean of the combined reward.
func score(ctx context.Context, j *pipeline.Judges, samples []data.Sample, answers []answer) (eval.Mean, error) {
	asked := make([]ppo.Answer, len(answers))
	for i, a := range answers {
		asked[i] = ppo.Answer{Prompt: ppo.Prompt{Tokens: a.ids, Safety: a.prompt.Safety}, Tokens: a.sample.Tokens}
	}
	scores, err := j.Score(ctx, asked)
	if err != nil {
		return eval.Mean{}, err
	}
	rewards := make([]float64, len(samples))
	for i, s := range scores {
		rewards[i], _ = j.Combined(s, answers[i].prompt.Safety)
		samples[i].Helpfulness, samples[i].Safety, samples[i].Combined = &scores[i].Helpfulness, &scores[i].Safety, &rewards[i]
	}
	return eval.MeanOf(rewards), nil
}

// judge asks the oracle.
func judge(result *versionResult, answers []answer, o *oracle.Oracle) error {
	var helpfulness, lengths []float64
	var unsafe, refusals, finished []bool
	for _, a := range answers {
		kind, err := o.Kind(a.prompt)
		if err != nil {
			return err
		}
		v, err := o.Judge(a.prompt, a.text)
		if err != nil {
			return err
		}
		switch kind {
		case oracle.Hazard:
			unsafe = append(unsafe, v.Unsafe)
		case oracle.Borderline:
			refusals = append(refusals, v.FalseRefusal)
			helpfulness = append(helpfulness, v.Helpfulness)
		default:
			helpfulness = append(helpfulness, v.Helpfulness)
		}
		lengths = append(lengths, float64(len(a.sample.Tokens)))
		finished = append(finished, a.sample.Finished)
	}
	result.Helpfulness = eval.MeanOf(helpfulness)
	result.Unsafe = eval.ShareOf(unsafe)
	result.FalseRefusal = eval.ShareOf(refusals)
	result.Length = eval.MeanOf(lengths)
	result.Finished = eval.ShareOf(finished)
	return nil
}

// samples turns answers into rows of a dataset.
func (l *lab) samples(answers []answer) []data.Sample {
	rows := make([]data.Sample, len(answers))
	for i, a := range answers {
		rows[i] = data.Sample{
			PromptID: a.prompt.ID, Messages: a.prompt.Messages, Prompt: a.ids,
			Tokens: a.sample.Tokens, LogProbs: a.sample.LogProbs, Text: a.text,
			Finished: a.sample.Finished, Temperature: 1,
		}
	}
	return rows
}
