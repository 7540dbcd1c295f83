package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// candidate is a calibration that is compared with others.
type candidate struct {
	name string
	cfg  rewardmodel.Calibration
}

// candidates are the run's own calibration and all others. gate is the logit of the threshold.
func candidates(own rewardmodel.Calibration, gate float64) []candidate {
	quantile := func(q float64, of rewardmodel.CalibrationAnswers) candidate {
		cfg := rewardmodel.Calibration{Method: rewardmodel.CalibrateQuantile, Quantile: q, Level: gate, Answers: of}
		which := "all answers"
		if of == rewardmodel.CalibrateChosen {
			which = "chosen answers"
		}
		return candidate{fmt.Sprintf("quantile %g of %s", q, which), cfg}
	}
	return []candidate{
		{"the run's calibration", own},
		{"no calibration", rewardmodel.Calibration{}},
		{"centred", rewardmodel.Calibration{Method: rewardmodel.CalibrateMean}},
		quantile(0.01, rewardmodel.CalibrateAll), quantile(0.05, rewardmodel.CalibrateAll), quantile(0.1, rewardmodel.CalibrateAll),
		quantile(0.05, rewardmodel.CalibrateChosen), quantile(0.25, rewardmodel.CalibrateChosen),
	}
}

// opponents are what the unsafe answer meets.
var opponents = [2]string{"the best safe answer", fmt.Sprintf("%d samples, the safe ones", gateEach)}

// gate: R_c lets fewer unsafe answers win than helpfulness alone. An unsafe answer is put next to
// each prompt without the safety tag.
func gate(ctx context.Context, b *bench, r *report) error {
	threshold := b.Iteration.PPO.SafetyThreshold
	list := candidates(b.Iteration.Calibration, ppo.Logit(threshold))
	prompts := b.untagged()
	t := newGateTable(list)
	for i := range b.rounds {
		g, err := b.gateScores(ctx, i, prompts)
		if err != nil {
			return err
		}
		if err := t.add(g, threshold); err != nil {
			return err
		}
	}
	questions := make([]string, len(prompts))
	var err error
	for i, p := range prompts {
		if questions[i], err = b.Oracle.Question(p); err != nil {
			return err
		}
	}
	rollouts, err := b.gateRollouts(ctx, list, prompts, questions, r)
	if err != nil {
		return err
	}
	t.report(r, questions, rollouts)
	r.note("%d prompts without the safety tag; the paper has no such table. The unsafe answers are the oracle's, a true sentence each", len(prompts))
	if err := renameio.WriteFile(r.path(".md"), []byte(t.markdown()), 0o644); err != nil {
		return err
	}
	return t.picture(r.Title).save(r.picture())
}

// untagged are all prompts without the safety tag that no reward model was trained on.
func (b *bench) untagged() []data.Prompt {
	all := slices.Concat(b.World.ValidationPrompts(), b.World.TestPrompts(), b.World.RLPrompts())
	return slices.DeleteFunc(all, func(p data.Prompt) bool { return p.Safety })
}

// gateScores are the scores of a version's reward models, the helpfulness model's with a bias of 0.
type gateScores struct {
	contests [2][]contest // against the oracle's best answer, and against samples
	pairs    []float64    // scores of the calibration's pairs: chosen and rejected in turn
	trained  float64      // the bias before the calibration
}

// bias is that of a calibration.
func (g *gateScores) bias(cfg rewardmodel.Calibration) (float64, error) {
	if cfg.Method == rewardmodel.CalibrateNone {
		return g.trained, nil
	}
	list := g.pairs
	if cfg.Answers == rewardmodel.CalibrateChosen {
		list = nil
		for i := 0; i < len(g.pairs); i += 2 {
			list = append(list, g.pairs[i])
		}
	}
	found, err := cfg.Statistic(list)
	return cfg.Level - found, err
}

// gateScores scores the contests of the version with this index: the unsafe answer of each prompt
// against the oracle's best safe answer, and against the finished safe ones of answers that the round
// sampled from, at the round's temperature.
func (b *bench) gateScores(ctx context.Context, index int, prompts []data.Prompt) (*gateScores, error) {
	v := b.rounds[index]
	g, j, err := b.uncalibrated(ctx, v)
	if err != nil {
		return nil, err
	}
	unsafe, best, err := b.gateAnswers(prompts)
	if err != nil {
		return nil, err
	}
	bad, err := j.Score(ctx, unsafe)
	if err != nil {
		return nil, err
	}
	good, err := j.Score(ctx, best)
	if err != nil {
		return nil, err
	}
	sampler := version{"SFT", startName}
	if index > 0 {
		before := b.rounds[index-1]
		sampler = version{fmt.Sprintf("V%d", before.Number), runName + "/" + before.Name()}
	}
	samples, err := b.gateSamples(ctx, sampler, fmt.Sprintf("v%d", v.Number), prompts, v.Temperature)
	if err != nil {
		return nil, err
	}
	drawn, err := j.Score(ctx, asAnswers(samples))
	if err != nil {
		return nil, err
	}
	for i := range prompts {
		g.contests[0] = append(g.contests[0], contest{bad[i], good[i : i+1]})
		c := contest{unsafe: bad[i]}
		for k := i * gateEach; k < (i+1)*gateEach; k++ {
			unsafe, err := b.Oracle.Unsafe(prompts[i], samples[k].Text)
			if err != nil {
				return nil, err
			}
			if samples[k].Finished && !unsafe {
				c.others = append(c.others, drawn[k])
			}
		}
		g.contests[1] = append(g.contests[1], c)
	}
	return g, nil
}

// gateEach is the number of samples that an unsafe answer meets, the K of quickstart's rejection
// sampling.
const gateEach = 8

// uncalibrated loads a version's reward models and sets the bias of the helpfulness model to 0. The
// scores have the bias that it had before the run calibrated it, and those of the calibration's pairs.
func (b *bench) uncalibrated(ctx context.Context, v pipeline.Version) (*gateScores, *pipeline.Judges, error) {
	j, helpfulness, _, err := b.LoadJudges(v)
	if err != nil {
		return nil, nil, err
	}
	bias := helpfulness.Get("score.bias").Value.Float32s()
	level := rewardmodel.Level{Before: float64(bias[0])}
	raw, err := os.ReadFile(filepath.Join(v.Helpfulness, rewardmodel.LevelFile))
	if err == nil {
		err = json.Unmarshal(raw, &level)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	bias[0] = 0 // the judges share it
	g := &gateScores{trained: level.Before}
	g.pairs, err = b.calibrationScores(ctx, helpfulness, v.Number)
	return g, j, err
}

// calibrationScores are those of the pairs that the run calibrates a version on.
func (b *bench) calibrationScores(ctx context.Context, helpfulness *model.Params, number int) ([]float64, error) {
	all, err := b.collected(number, data.HelpfulnessSet)
	if err != nil {
		return nil, err
	}
	newest := slices.DeleteFunc(all, func(p pipeline.SampledPreference) bool { return p.Version != number })
	return scores(ctx, helpfulness, numbers(newest, pipeline.SampledPreference.Pair))
}

// gateAnswers are an unsafe and the best safe answer to each prompt. The ways to harm take turns.
func (b *bench) gateAnswers(prompts []data.Prompt) (unsafe, best []data.Answer, err error) {
	list := make([]data.Preference, len(prompts))
	for i, p := range prompts {
		harms, err := b.Oracle.Harms(p)
		if err != nil {
			return nil, nil, err
		}
		good, err := b.Oracle.BestSafe(p)
		if err != nil {
			return nil, nil, err
		}
		list[i] = data.Preference{Messages: p.Messages, Chosen: good, Rejected: harms[i%len(harms)]}
	}
	pairs, err := rewardmodel.Encode(b.Tmpl, list)
	for _, p := range pairs {
		prompt := data.TokenPrompt{Tokens: p.Prompt}
		unsafe, best = append(unsafe, data.Answer{Prompt: prompt, Tokens: p.Rejected}), append(best, data.Answer{Prompt: prompt, Tokens: p.Chosen})
	}
	return unsafe, best, err
}

// gateSamples are answers of a model to each prompt, side by side.
func (b *bench) gateSamples(ctx context.Context, v version, name string, prompts []data.Prompt, temperature float64) ([]data.Sample, error) {
	s := step{"answers to untagged prompts", map[string]any{"temperature": temperature, "prompts": len(prompts), "each": gateEach}, 9, []string{v.path}}
	return rows(&b.cache, "gate/"+name+".arrow", s, func() ([]data.Sample, error) {
		sampled, err := b.sample(ctx, fmt.Sprintf("answers of %s at %g", v.name, temperature), v.path, prompts, gateEach, temperature, 9)
		return lab.Rows(sampled, temperature), err
	})
}

// gateRollouts samples as PPO does, from the last version before and after PPO, and compares the
// unsafe answers with the safe ones to their prompt. It returns what the run's calibration saves.
func (b *bench) gateRollouts(ctx context.Context, list []candidate, prompts []data.Prompt, questions []string, r *report) (own series, err error) {
	g, j, err := b.uncalibrated(ctx, b.rounds[len(b.rounds)-1])
	if err != nil {
		return own, err
	}
	policies := b.policies()
	for k, v := range policies {
		if k < len(policies)-2 || len(policies) > 2 && k < 1 {
			continue
		}
		samples, err := b.gateSamples(ctx, v, "rollouts-"+filepath.Base(v.path), prompts, b.Iteration.PPO.Temperature)
		if err != nil {
			return own, err
		}
		scored, err := j.Score(ctx, asAnswers(samples))
		if err != nil {
			return own, err
		}
		rollouts := make([]rollout, len(prompts))
		total := 0
		for i, s := range samples {
			unsafe, err := b.Oracle.Unsafe(prompts[i/gateEach], s.Text)
			if err != nil {
				return own, err
			}
			if unsafe {
				total++
			}
			o := &rollouts[i/gateEach]
			o.scores, o.unsafe = append(o.scores, scored[i]), append(o.unsafe, unsafe)
		}
		r.note("%s: %d of %d rollouts at temperature %g are unsafe", v.name, total, len(samples), b.Iteration.PPO.Temperature)
		for i, c := range list {
			bias, err := g.bias(c.cfg)
			if err != nil {
				return own, err
			}
			byReward, byHelpfulness := preferred(rollouts, questions, bias, b.Iteration.PPO.SafetyThreshold)
			if len(byReward.values) == 0 {
				break
			}
			if i == 0 {
				r.row(v.name+", unsafe rollouts above the safe ones by helpfulness alone", "", byHelpfulness.mean(), percent)
				own.values = append(own.values, subtract(byHelpfulness.values, byReward.values)...)
				own.questions = append(own.questions, byReward.questions...)
			}
			r.row(fmt.Sprintf("%s, unsafe rollouts above the safe ones by R_c, %s", v.name, c.name), "", byReward.mean(), percent)
		}
	}
	return own, nil
}
