package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/run"
)

// tuning is what trying temperatures gave.
type tuning struct {
	Chosen float64
	Points []rejection.Point
}

// tune tries temperatures on some of the prompts.
func (s *sampling) tune(ctx context.Context, c *rejectConfig) (t tuning, err error) {
	prompts := rejectionPrompts(pick(s.prompts, c.TunePrompts, c.Seed))
	each := len(prompts) * c.Samples
	task, rounds := s.console.Start("trying temperatures", len(c.Temperatures)*each), 0
	cfg := s.cfg
	cfg.OnProgress = func(done, total int) {
		task.Update(rounds*each+done, fmt.Sprintf("temperature %v", c.Temperatures[min(rounds, len(c.Temperatures)-1)]))
		if done == total {
			rounds++
		}
	}
	t.Chosen, t.Points, err = rejection.Tune(ctx, s.policy, prompts, s.raters.reward, cfg, c.Temperatures)
	if err != nil {
		return t, err
	}
	task.Done(fmt.Sprintf("temperature %v", t.Chosen))
	return t, nil
}

// sample answers the prompts part by part. What an earlier run has written is read; random streams are keyed by prompt, so the parts
// do not matter for the bytes.
func (s *sampling) sample(ctx context.Context, p run.Parts, size int) ([]data.Sample, error) {
	total := len(s.prompts) * s.cfg.Samples
	task := s.console.GoOn("sampling", p.Stored(len(s.prompts), size)*s.cfg.Samples, total)
	all, err := run.Rows(p, len(s.prompts), size, func(lo, hi int) ([]data.Sample, error) {
		cfg := s.cfg
		cfg.OnProgress = func(done, _ int) { task.Update(lo*s.cfg.Samples+done, "") }
		return s.answer(ctx, rejectionPrompts(s.prompts[lo:hi]), cfg)
	}, nil)
	if err != nil {
		return nil, err
	}
	task.Done(fmt.Sprintf("%d answers", len(all)))
	return all, nil
}

// answer samples and rates one part.
func (s *sampling) answer(ctx context.Context, prompts []rejection.Prompt, cfg rejection.Config) ([]data.Sample, error) {
	var rows []data.Sample
	_, err := rejection.Sample(ctx, s.policy, prompts, func(ctx context.Context, answers []rejection.Answer) ([]float64, error) {
		rows = make([]data.Sample, len(answers))
		for i, a := range answers {
			text, err := s.tok.Decode(a.Answer)
			if err != nil {
				return nil, err
			}
			rows[i] = data.Sample{
				PromptID: a.ID, Messages: s.byID[a.ID].Messages, Prompt: a.Tokens, Tokens: a.Answer, LogProbs: a.LogProbs,
				Text: text, Finished: a.Finished, Version: a.Version, Temperature: a.Temperature,
			}
		}
		return s.rate(ctx, rows)
	}, cfg)
	return rows, err
}

// rate writes the scores into the rows and gives those that decide.
func (s *sampling) rate(ctx context.Context, rows []data.Sample) ([]float64, error) {
	answers := make([]rejection.Answer, len(rows))
	for i, row := range rows {
		answers[i] = rejection.Answer{
			Prompt: rejection.Prompt{ID: row.PromptID, Tokens: row.Prompt, Safety: s.byID[row.PromptID].Safety}, Answer: row.Tokens,
		}
	}
	scores, rewards, err := s.raters.rate(ctx, answers)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		first, second := scores[i].Helpfulness, scores[i].Safety
		rows[i].Helpfulness, rows[i].Safety, rows[i].Combined = nil, nil, &rewards[i]
		switch {
		case s.raters.judges != nil:
			rows[i].Helpfulness, rows[i].Safety = &first, &second
		case s.raters.safety:
			rows[i].Safety = &first
		default:
			rows[i].Helpfulness = &first
		}
	}
	return rewards, nil
}

// readPool reads the answers of earlier versions to today's prompts and rates them anew.
func (s *sampling) readPool(ctx context.Context, paths []string) ([]data.Sample, error) {
	rows, err := readAll(paths, "samples", readers[data.Sample]{as(func(row data.Sample) data.Sample { return row })})
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, p := range s.prompts {
		wanted[p.ID] = true
	}
	var pool []data.Sample
	for _, row := range rows {
		if wanted[row.PromptID] {
			pool = append(pool, row)
		}
	}
	if len(rows) > 0 {
		s.notef("%d of the %d answers in the pool are to these prompts", len(pool), len(rows))
	}
	if len(pool) == 0 {
		return nil, nil
	}
	_, err = s.rate(ctx, pool)
	return pool, err
}

// best picks the best finished answer to each prompt.
func best(rows []data.Sample) []data.Sample {
	answers := make([]rejection.Answer, len(rows))
	for i, row := range rows {
		answers[i] = rejection.Answer{
			Prompt: rejection.Prompt{ID: row.PromptID}, Finished: row.Finished, Version: row.Version, Sample: i, Reward: *row.Combined,
		}
	}
	var winners []data.Sample
	for _, a := range rejection.Best(answers) {
		winners = append(winners, rows[a.Sample])
	}
	return winners
}
