package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tame-rlhf/tame/internal/checksum"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// rejectConfig is the configuration of `tame reject`.
type rejectConfig struct {
	modelConfig
	judgesConfig
	// Data are Arrow datasets whose prompts are answered: of prompts, conversations or preferences. Each prompt is answered once.
	Data []string `conf:"required,input"`
	// Pool are samples.arrow files of earlier versions, whose answers, rated again, take part in the choice (section 3.2.3: the best of all
	// versions, from RLHF-V4 on).
	Pool []string `conf:"input"`
	runConfig
	// MaxPrompts draws so many prompts at random. 0 takes all. Default 0.
	MaxPrompts int
	// Temperatures are tried on some prompts, and the one whose best answers have the highest reward is taken (figure 8): give them in
	// ascending order, such as [0.7, 1, 1.3]. Default none: temperature is taken.
	Temperatures []float64
	// TunePrompts is the number of prompts that temperatures are tried on. Default 100.
	TunePrompts           int
	rejection.Config      `conf:"omit=stop vocab"`
	pipeline.JudgesConfig // of two reward models
}

func rejectStage() stage[rejectConfig] {
	return stage[rejectConfig]{
		name: "reject", short: "Sample answers and keep the best of each prompt (section 3.2.3)",
		long: "Samples answers to prompts, rates them by one or two reward models, and writes a folder with all of them (samples.arrow) and the\n" +
			"best finished one of each prompt (winners.arrow), which `tame sft` can read.",
		defaults: func() rejectConfig {
			return rejectConfig{
				runConfig: runConfig{CheckpointEvery: 32}, TunePrompts: 100,
				Config: rejection.DefaultConfig(), JudgesConfig: pipeline.DefaultJudgesConfig(),
			}
		},
		check: func(check *setting.Checks, c *rejectConfig) {
			check.Nested("", c.Config.Validate())
			check.Nested("", c.CheckTokens(c.Samples, generate.MostTokens/max(c.CheckpointEvery, c.TunePrompts, 1)))
			check.AtLeast("MaxPrompts", c.MaxPrompts, 0)
			check.AtLeast("TunePrompts", c.TunePrompts, 1)
			for i, t := range c.Temperatures {
				check.Positive(fmt.Sprintf("Temperatures[%d]", i), t)
				generate.CheckTemperature(check, fmt.Sprintf("Temperatures[%d]", i), t)
			}
		},
		needs: func(c *rejectConfig) error { return c.judgesConfig.check() },
		plan:  func(c *rejectConfig) (runConfig, uint64) { return c.runConfig, c.Seed },
		run:   runReject,
	}
}

func runReject(ctx context.Context, r *stageRun, c *rejectConfig) error {
	s := &pipeline.Sampler{Policy: r.policy, Tokenizer: r.tok, Prompts: map[string]data.Prompt{}, Config: c.Config}
	s.Config.Fit(r.policy, r.tok)
	judges := c.JudgesConfig
	judges.OnContradiction = r.onContradiction(c.Helpfulness)
	var err error
	r.console.Phase("loading the reward models")
	if s.Judges, err = pipeline.LoadJudges(c.Helpfulness, c.Safety, r.tok, judges); err != nil {
		return err
	}
	r.console.Phase("reading the data")
	all, err := readPrompts(r, c.Data, min(r.policy.Config().MaxSeqLen, c.MicroTokens), c.MaxNewTokens)
	if err != nil {
		return err
	}
	prompts := pick(all, c.MaxPrompts, c.Seed)
	for _, prompt := range all {
		s.Prompts[prompt.ID] = prompt.Prompt
	}
	parts, err := run.OpenParts(r.output.checkpoint, r.lineage)
	if err != nil {
		return err
	}
	report := rejectReport{Temperature: c.Temperature}
	if len(c.Temperatures) > 0 {
		tuned, err := run.Value(parts, "tuning", func() (tuning, error) { return tune(ctx, r, s, prompts, c) })
		if err != nil {
			return err
		}
		report.Temperature, report.Tuning = tuned.Chosen, tuned.Points
	}
	s.Config.Temperature = report.Temperature
	total := len(prompts) * c.Samples
	task := r.console.GoOn("sampling", parts.Stored(len(prompts), c.CheckpointEvery)*c.Samples, total)
	samples, err := s.Sample(ctx, tokenPrompts(prompts), parts, c.CheckpointEvery, func(done int) { task.Update(done, "") })
	if err != nil {
		return err
	}
	task.Done(fmt.Sprintf("%d answers", len(samples)))
	r.console.Phase("choosing the best answers")
	pool, err := readPool(ctx, r, s, prompts, c.Pool)
	if err != nil {
		return err
	}
	winners := pipeline.BestSamples(append(pool, samples...))
	report.measure(samples, winners, len(prompts))
	if len(winners) == 0 {
		return fmt.Errorf("no prompt has a best answer, because of %d answers %d are unfinished and %d empty: raise max_new_tokens (%d), or train the model to answer and to stop; "+
			"the answers are in %s: delete it before you start with other settings", report.Answers, report.Answers-report.finished, report.Empty, c.MaxNewTokens, r.output.checkpoint)
	}
	r.console.Phase("writing %s", r.output.dir)
	err = r.output.write(func(dir string) error {
		sums := checksum.Sums{}
		return errors.Join(
			os.Mkdir(dir, 0o777),
			data.Write(filepath.Join(dir, "samples.arrow"), samples, r.lineage),
			data.Write(filepath.Join(dir, "winners.arrow"), winners, r.lineage),
			run.WriteJSON(filepath.Join(dir, "report.json"), report),
			run.WriteJSON(filepath.Join(dir, "lineage.json"), r.lineage),
			sums.AddTree(dir),
			sums.Write(dir),
		)
	})
	if err != nil {
		return err
	}
	return r.finish(report.String())
}

// rejectReport is report.json.
type rejectReport struct {
	Temperature  float64           `json:"temperature"`
	Tuning       []rejection.Point `json:"tuning,omitempty"`
	Prompts      int               `json:"prompts"`
	Answers      int               `json:"answers"`
	Finished     float64           `json:"finished"` // share of the answers
	Empty        int               `json:"empty"`    // answers without a text, which are never best
	MeanReward   float64           `json:"mean_reward"`
	Winners      int               `json:"winners"`
	WinnerReward float64           `json:"mean_reward_of_winners"`

	finished int
}

func (r *rejectReport) measure(samples, winners []data.Sample, prompts int) {
	r.Prompts, r.Answers, r.Winners = prompts, len(samples), len(winners)
	count := pipeline.CountSamples(samples)
	r.finished, r.Empty = count.Answers-count.Unfinished, count.Empty
	for _, s := range samples {
		r.MeanReward += *s.Combined / float64(len(samples))
		if s.Finished {
			r.Finished += 1 / float64(len(samples))
		}
	}
	for _, w := range winners {
		r.WinnerReward += *w.Combined / float64(len(winners))
	}
}

// String is for people.
func (r *rejectReport) String() string {
	var b strings.Builder
	for _, pt := range r.Tuning {
		fmt.Fprintf(&b, "temperature %-5v best answer %.3f, median answer %.3f, %.0f %% finished\n", pt.Temperature, pt.Max, pt.Median, 100*pt.Finished)
	}
	fmt.Fprintf(&b, "%d answers to %d prompts at temperature %v: reward %.3f on average, %.0f %% finished\n",
		r.Answers, r.Prompts, r.Temperature, r.MeanReward, 100*r.Finished)
	if r.Empty > 0 {
		fmt.Fprintf(&b, "%d answers are empty and left out\n", r.Empty)
	}
	fmt.Fprintf(&b, "%d prompts have a best answer: reward %.3f on average", r.Winners, r.WinnerReward)
	return b.String()
}
