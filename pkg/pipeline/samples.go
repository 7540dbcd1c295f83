package pipeline

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// Sampler samples answers and rates them, as rows of a dataset.
type Sampler struct {
	Policy    *model.Params
	Tokenizer *tokenizer.Tokenizer
	Judges    *Judges
	Prompts   map[string]data.Prompt // by ID: all prompts whose answers are sampled or rated
	Config    rejection.Config
}

// Sample answers the prompts part by part, size prompts at a time, and reads the parts that are
// stored. Random streams are keyed by prompt, so the parts do not matter for the rows. onProgress, if
// not nil, is called with the number of answers so far.
func (s *Sampler) Sample(ctx context.Context, prompts []rejection.Prompt, parts run.Parts, size int, onProgress func(done int)) ([]data.Sample, error) {
	return run.Rows(parts, len(prompts), size, func(lo, hi int) (rows []data.Sample, err error) {
		cfg := s.Config
		cfg.OnProgress = func(done, _ int) {
			if onProgress != nil {
				onProgress(lo*cfg.Samples + done)
			}
		}
		_, err = rejection.Sample(ctx, s.Policy, prompts[lo:hi], func(ctx context.Context, answers []rejection.Answer) ([]float64, error) {
			rows = make([]data.Sample, len(answers))
			for i, a := range answers {
				if rows[i], err = sampleRow(a, s.Prompts[a.ID].Messages, s.Tokenizer); err != nil {
					return nil, err
				}
			}
			return s.Rate(ctx, rows)
		}, cfg)
		return rows, err
	}, nil)
}

// Rate writes the scores of answers into their rows, and returns the rewards that decide.
func (s *Sampler) Rate(ctx context.Context, rows []data.Sample) ([]float64, error) {
	return s.Judges.RateSamples(ctx, rows, func(row data.Sample) bool { return s.Prompts[row.PromptID].Safety })
}

// RateSamples writes the scores of answers into their rows, and returns the rewards that decide. isSafety says which answers are to
// safety prompts.
func (j *Judges) RateSamples(ctx context.Context, rows []data.Sample, isSafety func(data.Sample) bool) ([]float64, error) {
	answers := make([]rejection.Answer, len(rows))
	for i, row := range rows {
		answers[i] = rejection.Answer{Prompt: rejection.Prompt{Tokens: row.Prompt, Safety: isSafety(row)}, Answer: row.Tokens}
	}
	scores, err := j.Score(ctx, askedOf(answers))
	if err != nil {
		return nil, err
	}
	rewards := make([]float64, len(rows))
	for i := range rows {
		rewards[i], _ = j.Combined(scores[i], answers[i].Safety)
		rows[i].Helpfulness, rows[i].Safety = j.Columns(scores[i])
		rows[i].Combined = &rewards[i]
	}
	return rewards, nil
}

// BestSamples picks the best finished answer to each prompt, see rejection.Best.
func BestSamples(rows []data.Sample) []data.Sample {
	answers := make([]rejection.Answer, len(rows))
	for i, row := range rows {
		answers[i] = rejection.Answer{
			Prompt: rejection.Prompt{ID: row.PromptID}, Finished: row.Finished, Version: row.Version, Sample: i, Reward: *row.Combined,
		}
	}
	var best []data.Sample
	for _, a := range rejection.Best(answers) {
		best = append(best, rows[a.Sample])
	}
	return best
}

// sampleRow is an answer as a row, without scores.
func sampleRow(a rejection.Answer, messages []data.Message, tok *tokenizer.Tokenizer) (data.Sample, error) {
	text, err := tok.Decode(a.Answer)
	if err != nil {
		return data.Sample{}, fmt.Errorf("pipeline: answer to %q: %w", a.ID, err)
	}
	return data.Sample{
		PromptID: a.ID, Messages: messages, Prompt: a.Tokens, Tokens: a.Answer, LogProbs: a.LogProbs, Text: text,
		Finished: a.Finished, Version: a.Version, Temperature: a.Temperature,
	}, nil
}
