package pipeline

import (
	"context"
	"fmt"
	"strings"

	"github.com/tame-rlhf/tame/internal/each"
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
func (s *Sampler) Sample(ctx context.Context, prompts []data.TokenPrompt, parts run.Parts, size int, onProgress func(done int)) ([]data.Sample, error) {
	return run.Rows(parts, len(prompts), size, func(lo, hi int) (rows []data.Sample, err error) {
		cfg := s.Config
		cfg.OnProgress = func(done, _ int) {
			if onProgress != nil {
				onProgress(lo*cfg.Samples + done)
			}
		}
		_, err = rejection.Sample(ctx, s.Policy, prompts[lo:hi], func(ctx context.Context, answers []data.Answer) ([]float64, error) {
			rows = make([]data.Sample, len(answers))
			for i, a := range answers {
				if rows[i], err = sampleRow(a, s.Prompts[a.Prompt.ID].Messages, s.Tokenizer); err != nil {
					return nil, err
				}
				rows[i].Version, rows[i].Temperature = cfg.Version, cfg.Temperature
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
	answers := answersOf(rows, isSafety)
	scores, err := j.Score(ctx, answers)
	if err != nil {
		return nil, err
	}
	rewards := make([]float64, len(rows))
	for i := range rows {
		rewards[i], _ = j.Combined(scores[i], answers[i].Prompt.Safety)
		rows[i].Helpfulness, rows[i].Safety = j.Columns(scores[i])
		rows[i].Combined = &rewards[i]
	}
	return rewards, nil
}

// answersOf are sampled answers as reward models take them.
func answersOf(rows []data.Sample, isSafety func(data.Sample) bool) []data.Answer {
	return each.Of(rows, func(row data.Sample) data.Answer {
		return data.Answer{Prompt: data.TokenPrompt{Tokens: row.Prompt, Safety: isSafety(row)}, Tokens: row.Tokens}
	})
}

// EmptySample says that an answer ended by itself and has no text.
func EmptySample(row data.Sample) bool { return row.Finished && strings.TrimSpace(row.Text) == "" }

// SampleCount counts answers, and those of them that are never best ones.
type SampleCount struct {
	Answers    int
	Unfinished int // that the length limit ended
	Empty      int // see EmptySample
}

// CountSamples counts answers.
func CountSamples(rows []data.Sample) SampleCount {
	c := SampleCount{Answers: len(rows)}
	for _, row := range rows {
		switch {
		case !row.Finished:
			c.Unfinished++
		case EmptySample(row):
			c.Empty++
		}
	}
	return c
}

// BestSamples picks the best answer to each prompt that is finished and not empty, see rejection.Best.
func BestSamples(rows []data.Sample) []data.Sample {
	candidates := make([]rejection.Candidate, len(rows))
	for i, row := range rows {
		a := data.Answer{Prompt: data.TokenPrompt{ID: row.PromptID}, Finished: row.Finished && !EmptySample(row)}
		candidates[i] = rejection.Candidate{Answer: a, Version: row.Version, Index: i, Reward: *row.Combined}
	}
	return each.Of(rejection.Best(candidates), func(c rejection.Candidate) data.Sample { return rows[c.Index] })
}

// sampleRow is an answer as a row, without scores and what is known of the sampling model.
func sampleRow(a data.Answer, messages []data.Message, tok *tokenizer.Tokenizer) (data.Sample, error) {
	text, err := tok.Decode(a.Tokens)
	if err != nil {
		return data.Sample{}, fmt.Errorf("pipeline: answer to %q: %w", a.Prompt.ID, err)
	}
	return data.Sample{
		PromptID: a.Prompt.ID, Messages: messages, Prompt: a.Prompt.Tokens, Tokens: a.Tokens, LogProbs: a.LogProbs,
		Text: text, Finished: a.Finished,
	}, nil
}
