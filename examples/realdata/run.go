package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/train"
)

// version is a model with its name in the tables.
type version struct {
	name  string
	model *model.Params
}

// run is the whole chain: SFT, two reward models, rejection sampling, PPO; beside it Ghost Attention.
func (l *bench) run(ctx context.Context, base *model.Params) (results, error) {
	r := results{Seed: l.seed, Files: l.corpus.files, NoRoom: l.noRoom}
	r.Prompts = promptRow{RL: len(l.rl), Validation: len(l.validation), Test: len(l.test)}

	// 1. SFT on demonstrations. The base model tells stories and hardly ever ends one.
	chat, err := l.FineTune(ctx, "SFT", base, l.corpus.train.examples(), l.sft)
	if err != nil {
		return r, err
	}

	// 2. Ghost Attention on a copy, from which nothing else goes on.
	if r.Ghost, err = l.ghostAttention(ctx, chat); err != nil {
		return r, err
	}

	// 3. Two reward models on human preferences, each on the paper's mix.
	h, s := l.corpus.train.set(data.HelpfulnessSet), l.corpus.train.set(data.SafetySet)
	helpfulness, err := l.RewardModel(ctx, "helpfulness model", chat, rewardmodel.HelpfulnessMix(h, s, l.helpfulness.Seed), l.helpfulness)
	if err != nil {
		return r, err
	}
	safety, err := l.RewardModel(ctx, "safety model", chat, rewardmodel.SafetyMix(s, h, l.safety.Seed), l.safety)
	if err != nil {
		return r, err
	}
	if r.RewardModels, err = testRewardModels(ctx, []version{{"helpfulness", helpfulness}, {"safety", safety}}, l.corpus.heldOut.pairs); err != nil {
		return r, err
	}
	if err := l.center(ctx, chat, helpfulness, safety); err != nil {
		return r, err
	}
	j, err := pipeline.NewJudges(helpfulness, safety, pipeline.JudgesConfig{
		SafetyThreshold: l.ppo.SafetyThreshold, MicroTokens: microTokens, MicroSegments: microSegments,
	})
	if err != nil {
		return r, err
	}

	// 4. Rejection sampling: tune the temperature, sample, fine-tune on the best answers.
	best, err := l.rejectionSampling(ctx, chat, j, &r)
	if err != nil {
		return r, err
	}

	// 5. PPO on top of it.
	final, err := l.runPPO(ctx, best, helpfulness, j, &r)
	if err != nil {
		return r, err
	}

	// 6. All versions on prompts that no stage has seen. A third reward model, from the pairs that were held out, shows
	// whether the rise is more than a liking of the two for what they happened to learn (section 3.4, figure 11).
	pairs := append(l.corpus.heldOut.set(data.HelpfulnessSet), l.corpus.heldOut.set(data.SafetySet)...)
	general, err := l.RewardModel(ctx, "third reward model", chat, pairs, l.third)
	if err != nil {
		return r, err
	}
	if r.Third, err = testRewardModels(ctx, []version{{"third", general}}, l.corpus.train.pairs); err != nil {
		return r, err
	}
	third, err := pipeline.NewJudges(general, nil, pipeline.JudgesConfig{MicroTokens: microTokens, MicroSegments: microSegments})
	if err != nil {
		return r, err
	}
	versions := []version{{"base", base}, {"SFT", chat}, {"rejection sampling", best}, {"PPO", final}}
	if r.Versions, err = l.evaluate(ctx, versions, 1, j, third); err != nil {
		return r, err
	}
	r.Example = l.test[l.shortest()].Question()
	rest := time.Since(l.start)
	for _, s := range l.Stages {
		rest -= time.Duration(s.Seconds * float64(time.Second))
	}
	l.Note("scores and divergences", 0, rest)
	r.Stages = l.Stages
	return r, nil
}

// center gives both models a level. A ranking loss leaves it open, and the data has no safety labels, so that 0 is what the
// chat model's own answers score on average: the gate at 0.15 takes answers that are log(0.85/0.15) = 1.73 below it.
func (l *bench) center(ctx context.Context, chat, helpfulness, safety *model.Params) error {
	answers, err := l.sample(ctx, "answers of SFT", chat, l.validation)
	if err != nil {
		return err
	}
	for _, p := range []*model.Params{helpfulness, safety} {
		scorer, err := rewardmodel.NewScorer(p, microTokens, microSegments)
		if err != nil {
			return err
		}
		if _, err := rewardmodel.Calibrate(ctx, scorer, answers, rewardmodel.Calibration{Method: rewardmodel.CalibrateMean}); err != nil {
			return err
		}
	}
	return nil
}

// rejectionSampling fine-tunes the chat model on the best of its own answers.
func (l *bench) rejectionSampling(ctx context.Context, chat *model.Params, j *pipeline.Judges, r *results) (*model.Params, error) {
	cfg := l.rejection
	task := l.Console.Start("tuning the temperature", len(l.temperatures))
	temperature, points, err := rejection.Tune(ctx, chat, tokenPrompts(pick(l.validation, l.tuning)), j.Reward, cfg, l.temperatures)
	if err != nil {
		return nil, err
	}
	r.Temperatures = points
	l.Note("tuning the temperature", 0, task.Done(fmt.Sprintf("T = %g", temperature)))

	task = l.Console.Start("rejection sampling", len(l.rl)*cfg.Samples)
	cfg.Temperature = temperature
	cfg.OnProgress = func(done, _ int) { task.Update(done, "") }
	candidates, err := rejection.Sample(ctx, chat, tokenPrompts(l.rl), j.Reward, cfg)
	if err != nil {
		return nil, err
	}
	tokens := 0
	for _, c := range candidates {
		tokens += len(c.Tokens)
	}
	winners := rejection.Best(candidates)
	r.Winners = len(winners)
	l.Note("rejection sampling", tokens, task.Done(fmt.Sprintf("%d winners of %d answers", len(winners), len(candidates))))

	examples := make([]data.Example, len(winners))
	for i, w := range winners {
		examples[i] = w.Example()
	}
	return l.FineTune(ctx, "SFT on the winners", chat, examples, l.winners)
}

// runPPO goes on from p with the helpfulness model as the critic's start.
func (l *bench) runPPO(ctx context.Context, p, critic *model.Params, j *pipeline.Judges, r *results) (*model.Params, error) {
	p, critic = p.Clone(), critic.Clone()
	cfg := l.ppo
	return p, l.Task("PPO", cfg.Iterations, func(onStep func(train.StepInfo)) (int, error) {
		tokens := 0
		cfg.OnStep = func(info train.StepInfo) {
			m := info.Metrics
			tokens += int(m["response_length/mean"] * float64(cfg.BatchSize))
			row := ppoRow{Iteration: info.Step, Reward: m["objective/scores"], KL: m["objective/kl"], Length: m["response_length/mean"]}
			if score, ok := m["eval/scores"]; ok {
				row.Validation = &score
			}
			r.PPO = append(r.PPO, row)
			onStep(info)
		}
		report, err := ppo.Train(ctx, p, critic, tokenPrompts(l.rl), tokenPrompts(l.validation), j, cfg)
		r.BestIteration = report.BestIteration
		return tokens, err
	})
}
