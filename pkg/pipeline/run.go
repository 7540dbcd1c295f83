package pipeline

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// Names of results, as paths in the run's folder.
const (
	startName       = "start"
	openName        = "prompts/open.arrow"
	promptsName     = "prompts/prompts.arrow"
	validationName  = "prompts/validation.arrow"
	helpfulnessName = "prompts/helpfulness.arrow"
	safetyName      = "prompts/safety.arrow"
	adversarialName = "prompts/adversarial.arrow"
)

// at names a result of a version.
func at(v int, name string) string { return fmt.Sprintf("v%d/%s", v, name) }

// of names a step of a version in lineages.
func of(v int, stage string) string { return fmt.Sprintf("V%d: %s", v, stage) }

// Version is what a round made.
type Version struct {
	Number       int
	Model        string     // folder of its model: PPO's if there was PPO
	Tuned        string     // folder of the model after rejection sampling; Model without PPO
	Helpfulness  string     // folder of its reward models
	Safety       string     //
	Preferences  [2]int     // fresh pairs of the helpfulness and of the safety set
	Accuracies   []Accuracy // of its reward models on held-out pairs
	Ghosts       int        // examples of Ghost Attention in its fine-tuning
	Distilled    int        // examples of safety context distillation
	Temperature  float64    // that was chosen
	Temperatures []Tuning   // that were tried
}

// Name is the place of its model in the run's folder, such as "v5/ppo".
func (v Version) Name() string {
	return at(v.Number, filepath.Base(v.Model))
}

// iteration is a run of all versions under way.
type iteration struct {
	store  *store
	cfg    Config
	data   Data
	stages stages

	open                []data.Pair
	prompts, validation []data.TokenPrompt
	messages            map[string][]data.Message // of the prompts, by ID
	isSafety            map[string]bool           // likewise

	helpfulness, safety preferences
	samples             [][]data.Sample // of each version
	checked             int             // the last version whose model gives answers that can be best
}

// Run is the iteration of section 3.2: V1 to V5, each from fresh preferences, new reward models, rejection sampling, and from PPOFrom on PPO. All
// results are in dir. A run that was stopped in any way goes on when it is started again with the same data and config, and ends in the
// same bytes; a folder with results of another run is a run.ErrOtherRun.
func Run(ctx context.Context, dir string, d Data, cfg Config) ([]Version, error) {
	return runStages(ctx, dir, d, cfg, trained())
}

func runStages(ctx context.Context, dir string, d Data, cfg Config, st stages) ([]Version, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := d.validate(); err != nil {
		return nil, err
	}
	if err := cfg.validateFurther(d); err != nil {
		return nil, err
	}
	cfg.fit(d)
	s, err := newStore(ctx, dir, cfg.KeepEvery, d, cfg.Watch)
	if err != nil {
		return nil, err
	}
	s.keepPreferences = cfg.KeepPreferences
	r := &iteration{store: s, cfg: cfg, data: d, stages: st}
	if err := r.begin(); err != nil {
		return nil, err
	}
	var versions []Version
	policy, before := startName, startName
	for v := 1; v <= cfg.Versions; v++ {
		version, err := r.version(ctx, v, policy, before)
		if err != nil {
			return versions, fmt.Errorf("pipeline: V%d: %w", v, err)
		}
		versions = append(versions, version)
		policy, before = version.Model, policy
	}
	for i := range versions {
		v := &versions[i]
		v.Model, v.Tuned, v.Helpfulness, v.Safety = s.path(v.Model), s.path(v.Tuned), s.path(v.Helpfulness), s.path(v.Safety)
	}
	if err := os.RemoveAll(filepath.Join(dir, workDir)); err != nil {
		return versions, fmt.Errorf("pipeline: %w", err)
	}
	return versions, nil
}

// begin puts what the run starts from into the folder, and encodes it.
func (r *iteration) begin() (err error) {
	h := sha256.New()
	if err := r.data.Start.WriteWeights(h); err != nil {
		return err
	}
	l := r.data.Lineage
	start, err := r.store.lineage(cmp.Or(l.Stage, "start"), map[string]any{"weights": hex.EncodeToString(h.Sum(nil)), "config": l.Config}, l.Seed)
	if err != nil {
		return err
	}
	start.Inputs, start.Ancestors = l.Inputs, l.Ancestors
	if _, err := r.store.params(startName, start, func() (*model.Params, error) { return r.data.Start, nil }); err != nil {
		return err
	}
	for _, set := range []struct {
		name    string
		prompts []data.Prompt
	}{
		{helpfulnessName, r.data.Helpfulness}, {safetyName, r.data.Safety}, {promptsName, r.data.Prompts}, {validationName, r.data.Validation},
		{adversarialName, r.data.Adversarial},
	} {
		if err := given(r.store, set.name, set.prompts); err != nil {
			return err
		}
	}
	if err := given(r.store, openName, r.data.Open); err != nil {
		return err
	}
	open, _, err := curate.Split(r.data.Open, r.cfg.HeldOut, r.cfg.Seed) // by the rule of preferences.add
	if err != nil {
		return err
	}
	if r.open, err = rewardmodel.Encode(r.data.Template, open); err != nil {
		return err
	}
	if r.validation, err = r.encode(r.data.Validation); err != nil {
		return err
	}
	r.messages, r.isSafety = map[string][]data.Message{}, map[string]bool{}
	for _, p := range r.data.Prompts {
		r.messages[p.ID], r.isSafety[p.ID] = p.Messages, p.Safety
	}
	r.prompts, err = r.encode(r.data.Prompts)
	return err
}

// given writes rows that the caller gave; another run's are refused by their digest.
func given[T data.Row](s *store, name string, rows []T) error {
	h := sha256.New()
	for _, row := range rows {
		fmt.Fprintf(h, "%#v\n", row)
	}
	l, err := s.lineage("given", map[string]string{"rows": hex.EncodeToString(h.Sum(nil))}, 0)
	if err != nil {
		return err
	}
	_, err = dataset(s, name, l, func() ([]T, error) { return rows, nil })
	return err
}

func (r *iteration) encode(prompts []data.Prompt) ([]data.TokenPrompt, error) {
	list, err := r.data.Template.EncodePrompts(prompts)
	if err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	return list, nil
}

// version is one round. policy is the newest model, before the one before it.
func (r *iteration) version(ctx context.Context, v int, policy, before string) (Version, error) {
	out := Version{Number: v, Helpfulness: at(v, "helpfulness"), Safety: at(v, "safety"), Tuned: at(v, "tuned")}
	p, err := model.Load(r.store.path(policy))
	if err != nil {
		return out, err
	}

	// 1. Fresh preferences on answers of the newest model.
	fresh, err := r.freshPreferences(ctx, v, policy, before, p)
	if err != nil {
		return out, err
	}
	out.Preferences = [2]int{len(fresh[0]), len(fresh[1])}

	// 2. Both reward models, on all preferences so far.
	var collected []string
	for k := 1; k <= v; k++ {
		collected = append(collected, at(k, "preferences-helpfulness.arrow"), at(k, "preferences-safety.arrow"))
	}
	helpfulness, safety, err := r.rewardModels(ctx, v, collected)
	if err != nil {
		return out, err
	}
	if out.Accuracies, err = r.accuracies(ctx, v, helpfulness, safety, collected); err != nil {
		return out, err
	}
	judges, err := r.stages.judges(v, helpfulness, safety, JudgesConfig{
		SafetyThreshold: r.cfg.PPO.SafetyThreshold, MicroTokens: r.cfg.Helpfulness.MicroTokens, MicroSegments: r.cfg.Helpfulness.MicroSegments,
		OnContradiction: func(gate ppo.GateCount) { r.store.watch(Event{Step: out.Helpfulness, Contradiction: &gate}) },
	})
	if err != nil {
		return out, err
	}

	// 3. Rejection sampling: the temperature, the answers, the best of them.
	if out.Temperature, out.Temperatures, err = r.tune(ctx, v, policy, p, judges); err != nil {
		return out, err
	}
	samples, err := r.sample(ctx, v, policy, p, judges, out.Temperature)
	if err != nil {
		return out, err
	}
	r.samples = append(r.samples, samples)
	winners, err := r.winners(ctx, v, judges)
	if err != nil {
		return out, err
	}

	// 4. SFT on the best answers, and on what Ghost Attention and distillation add.
	ghostsName, ghosts, err := r.ghosts(ctx, v, policy, p)
	if err != nil {
		return out, err
	}
	distilledName, distilled, err := r.distilled(ctx, v, policy, p, judges)
	if err != nil {
		return out, err
	}
	out.Ghosts, out.Distilled = len(ghosts), len(distilled)
	from, start := policy, p
	if r.cfg.FromStart {
		from, start = startName, r.data.Start
	}
	inputs := slices.DeleteFunc([]string{from, at(v, "winners.arrow"), ghostsName, distilledName}, func(s string) bool { return s == "" })
	tuned, err := r.fineTune(ctx, v, inputs, start, slices.Concat(examplesOfWinners(winners), examplesOf(ghosts), examplesOf(distilled)))
	if err != nil {
		return out, err
	}

	// 5. PPO on top.
	out.Model = out.Tuned
	if v >= r.cfg.PPOFrom {
		out.Model = at(v, "ppo")
		err = r.ppo(ctx, v, out.Model, tuned, helpfulness, judges)
	}
	return out, err
}

// freshPreferences collects those of both sets.
func (r *iteration) freshPreferences(ctx context.Context, v int, policy, before string, p *model.Params) (fresh [2][]SampledPreference, err error) {
	second := p
	if before != policy {
		if second, err = model.Load(r.store.path(before)); err != nil {
			return fresh, err
		}
	}
	variants := [2]variant{
		{p, r.cfg.PairTemperatures[0], r.cfg.Seed + streamFirst},
		{second, r.cfg.PairTemperatures[1], r.cfg.Seed + streamSecond},
	}
	for i, c := range []struct {
		set     data.Set
		file    string
		prompts []data.Prompt
		pairs   int
		all     *preferences
	}{
		{data.HelpfulnessSet, helpfulnessName, r.data.Helpfulness, r.cfg.HelpfulnessPairs, &r.helpfulness},
		{data.SafetySet, safetyName, r.data.Safety, r.cfg.SafetyPairs, &r.safety},
	} {
		name := at(v, fmt.Sprintf("preferences-%v.arrow", c.set))
		l, err := r.store.lineage(of(v, "preferences"), map[string]any{
			"version": v, "versions": r.cfg.Versions, "pairs": c.pairs, "temperatures": r.cfg.PairTemperatures,
			"max_new_tokens": r.cfg.Rejection.MaxNewTokens, "vocab": r.cfg.Rejection.Vocab, "top_p": r.cfg.Rejection.TopP, "top_k": r.cfg.Rejection.TopK,
		}, r.cfg.Seed, slices.Compact([]string{policy, before, c.file})...)
		if err != nil {
			return fresh, err
		}
		fresh[i], err = r.collect(ctx, name, l, share(c.prompts, v, r.cfg.Versions), c.pairs, c.set, variants, v)
		if err != nil {
			return fresh, err
		}
		if err := c.all.add(fresh[i], r.cfg.HeldOut, r.cfg.Seed); err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

// ppo trains on top of the fine-tuned model, with the helpfulness model as the critic's start.
func (r *iteration) ppo(ctx context.Context, v int, name string, tuned, helpfulness *model.Params, judges *Judges) error {
	cfg := r.cfg.PPO
	l, err := r.store.lineage(of(v, "PPO"), cfg, cfg.Seed, at(v, "tuned"), at(v, "helpfulness"), at(v, "safety"), promptsName, validationName)
	if err != nil {
		return err
	}
	_, err = r.store.params(name, l, func() (*model.Params, error) {
		p := tuned.Clone()
		cfg.Checkpointing, cfg.OnStep = r.store.keep(name), r.steps(name)
		cfg.OnPlan = r.plans(name)
		cfg.Checkpointing.Every = 1
		_, err := r.stages.ppo(ctx, p, helpfulness.Clone(), r.prompts, r.validation, judges, cfg)
		return p, err
	})
	return err
}
