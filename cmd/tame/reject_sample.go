package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/rejection"
)

// tuning is what trying temperatures gave.
type tuning struct {
	Chosen float64
	Points []rejection.Point
}

// tune tries temperatures on some of the prompts.
func tune(ctx context.Context, r *stageRun, s *pipeline.Sampler, prompts []encodedPrompt, c *rejectConfig) (t tuning, err error) {
	some := tokenPrompts(pick(prompts, c.TunePrompts, c.Seed))
	each := len(some) * c.Samples
	task, rounds := r.console.Start("trying temperatures", len(c.Temperatures)*each), 0
	cfg := s.Config
	cfg.OnProgress = func(done, total int) {
		task.Update(rounds*each+done, fmt.Sprintf("temperature %v", c.Temperatures[min(rounds, len(c.Temperatures)-1)]))
		if done == total {
			rounds++
		}
	}
	t.Chosen, t.Points, err = rejection.Tune(ctx, s.Policy, some, s.Judges.Reward, cfg, c.Temperatures)
	if err != nil {
		return t, err
	}
	task.Done(fmt.Sprintf("temperature %v", t.Chosen))
	return t, nil
}

// readPool reads the answers of earlier versions to today's prompts and rates them anew.
func readPool(ctx context.Context, r *stageRun, s *pipeline.Sampler, prompts []encodedPrompt, paths []string) ([]data.Sample, error) {
	rows, err := readAll(paths, "samples", readers[data.Sample]{as(func(row data.Sample) data.Sample { return row })})
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, p := range prompts {
		wanted[p.ID] = true
	}
	all := len(rows)
	pool := slices.DeleteFunc(rows, func(row data.Sample) bool { return !wanted[row.PromptID] })
	if all > 0 {
		r.notef("%d of the %d answers in the pool are to these prompts", len(pool), all)
	}
	if len(pool) == 0 {
		return nil, nil
	}
	_, err = s.Rate(ctx, pool)
	return pool, err
}
