package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// rewardConfig is the configuration of `tame reward`.
type rewardConfig struct {
	modelConfig
	// Data are Arrow datasets of preferences.
	Data []string `conf:"required,input"`
	runConfig
	// Kind is which of the two reward models it is: it decides on the data mix, and for safety the default of safety_weight is 1.
	Kind data.Set
	// Mix takes all pairs of the model's own set and as many of the other as the paper does (section 3.2.2): for helpfulness the same
	// number, for safety one to nine. false takes all pairs as they are. Default true.
	Mix bool
	// DropUnsafeChoices leaves out pairs whose chosen answer is labelled unsafe while the other is labelled safe, as the paper does
	// (section 3.2.1). Default true.
	DropUnsafeChoices bool
	heldOutConfig
	// Margins are the gaps that the ranking loss asks for at each step of the annotators' scale (Table 27): none, small, large, or four
	// numbers {significantly: 3, better: 2, slightly: 1, negligibly: 0}. Default large, best for significantly better pairs in Table 28.
	Margins margins
	// Calibration sets the level of a helpfulness model after training, on the pairs of its own set that it was trained on, because the gate of
	// section 3.2.3 compares it with the safety model's level. A safety model is never calibrated: method is none there, and has to be.
	Calibration        rewardmodel.Calibration
	rewardmodel.Config `conf:"omit=margins"`
}

func rewardStage() stage[rewardConfig] {
	defaults := func(kind data.Set) rewardConfig {
		cfg, calibration := rewardmodel.DefaultConfig(), rewardmodel.DefaultCalibration()
		if kind == data.SafetySet {
			cfg, calibration.Method = rewardmodel.SafetyConfig(), rewardmodel.CalibrateNone
		}
		return rewardConfig{
			runConfig: runConfig{CheckpointEvery: 50}, Kind: kind, Mix: true, DropUnsafeChoices: true,
			Margins: margins{cfg.Margins}, Calibration: calibration, Config: cfg,
		}
	}
	return stage[rewardConfig]{
		name: "reward", short: "Train a reward model on preferences (section 3.2.2)",
		long:     "Trains a helpfulness or a safety reward model on pairs of answers. A model without a scalar head gets one.",
		scores:   true,
		defaults: func() rewardConfig { return defaults(data.HelpfulnessSet) },
		adapt:    func(written rewardConfig) rewardConfig { return defaults(written.Kind) },
		check: func(check *setting.Checks, c *rewardConfig) {
			c.heldOutConfig.check(check, c.EvalEvery)
			check.Nested("", c.Config.Validate())
			checkCalibration(check, c.Kind, c.Calibration)
		},
		plan: func(c *rewardConfig) (runConfig, uint64) { return c.runConfig, c.Seed },
		run:  runReward,
	}
}

// margins are rewardmodel.Margins with the names of Table 27.
type margins struct{ rewardmodel.Margins }

var namedMargins = []struct {
	name   string
	values rewardmodel.Margins
}{{"none", rewardmodel.NoMargin}, {"small", rewardmodel.SmallMargin}, {"large", rewardmodel.LargeMargin}}

// MarshalText is the name, if there is one.
func (m margins) MarshalText() ([]byte, error) {
	for _, named := range namedMargins {
		if named.values == m.Margins {
			return []byte(named.name), nil
		}
	}
	return nil, errors.New("these margins have no name")
}

// UnmarshalText takes a name.
func (m *margins) UnmarshalText(text []byte) error {
	for _, named := range namedMargins {
		if named.name == string(text) {
			m.Margins = named.values
			return nil
		}
	}
	return fmt.Errorf("unknown margins %q, want none, small, large, or {significantly: 3, better: 2, slightly: 1, negligibly: 0}", text)
}

func runReward(ctx context.Context, r *stageRun, c *rewardConfig) error {
	p := r.policy
	if !p.HasHead() {
		const headStream = 2 // of the seed
		p.AddHead(rand.New(rand.NewPCG(c.Seed, headStream)))
	}
	if err := checkPatterns("", c.Settings, p); err != nil {
		return err
	}
	forms := readers[splitRow[data.Pair]]{as(func(p pipeline.SampledPreference) splitRow[data.Pair] {
		return splitRow[data.Pair]{p.Question(), p.Pair()}
	}), encoded(func(p data.Preference) (splitRow[data.Pair], error) {
		pair, err := encodePair(r.tmpl, p)
		return splitRow[data.Pair]{p.Question(), pair}, err
	})}
	pairs, heldOut, err := splitPairs(r, forms, c)
	if err != nil {
		return err
	}
	if pairs, err = mixPairs(r, pairs, c); err != nil {
		return err
	}
	r.notef("%d pairs to train on, %d held out", len(pairs), len(heldOut))
	c.Config.Margins = c.Margins.Margins
	r.prepare("", &c.MaxMemory, &c.OnPlan)
	done := r.follow("reward", &c.Checkpointing, &c.OnPhase, &c.OnStep)
	report, err := rewardmodel.Train(ctx, p, pairs, evaluated(heldOut, c.EvalEvery), c.Config)
	if err != nil {
		return err
	}
	done()
	r.console.Phase("calibrating")
	level, err := calibrateReward(ctx, p, pairs, c)
	if err != nil {
		return err
	}
	r.extra = level.Write
	text := fmt.Sprintf("%d steps on %d pairs, %d tokens; loss of the last step %.3f", report.Steps, len(pairs), report.Tokens, report.Loss) + ending(report)
	if c.Kind == data.HelpfulnessSet {
		text += "\n" + level.String()
	}
	if len(heldOut) == 0 {
		return r.finishModel(nil, text)
	}
	r.console.Phase("evaluating what is held out")
	scorer, err := rewardmodel.NewScorer(p, c.MicroTokens, c.MicroSegments)
	if err != nil {
		return err
	}
	evaluation, err := rewardmodel.Evaluate(ctx, scorer, heldOut)
	if err != nil {
		return err
	}
	return r.finishModel(evaluation, fmt.Sprintf("%s\nheld out:\n%v", text, evaluation))
}

// encodePair encodes a preference.
func encodePair(tmpl *data.Template, p data.Preference) (data.Pair, error) {
	pairs, err := rewardmodel.Encode(tmpl, []data.Preference{p})
	if err != nil {
		return data.Pair{}, err
	}
	return pairs[0], nil
}

// pairLength is that of the longer one of its dialogues.
func pairLength(p data.Pair) int { return len(p.Prompt) + max(len(p.Chosen), len(p.Rejected)) }

// splitPairs leaves out what is too long and what the paper leaves out, counting both, and holds some of the rows out, or others.
func splitPairs(r *stageRun, forms readers[splitRow[data.Pair]], c *rewardConfig) (pairs, heldOut []data.Pair, err error) {
	pairs, heldOut, tooLong, err := split(r, c.Data, "preference", forms, "pairs", pairLength, c.heldOutConfig)
	if err != nil {
		return nil, nil, err
	}
	if c.DropUnsafeChoices {
		kept := rewardmodel.WithoutUnsafeChoices(pairs)
		if dropped := len(pairs) - len(kept); dropped > 0 {
			r.notef("%d pairs whose chosen answer is unsafe and whose other one is safe are left out", dropped)
		}
		pairs = kept
	}
	if len(pairs) == 0 {
		return nil, nil, fmt.Errorf("no pair is left to train on: %d are too long, %d held out", tooLong, len(heldOut))
	}
	return pairs, heldOut, nil
}

// mixPairs is the data mix of section 3.2.2, if there is anything to mix.
func mixPairs(r *stageRun, pairs []data.Pair, c *rewardConfig) ([]data.Pair, error) {
	if !c.Mix {
		return pairs, nil
	}
	own, others := rewardmodel.BySet(pairs, c.Kind)
	if len(own) == 0 {
		return nil, fmt.Errorf("none of the %d pairs is of the %v set: give kind: %v, or mix: false to train on them all the same",
			len(pairs), c.Kind, others[0].Set)
	}
	if len(others) == 0 {
		return own, nil
	}
	mixed := rewardmodel.HelpfulnessMix(own, others, c.Seed)
	if c.Kind == data.SafetySet {
		mixed = rewardmodel.SafetyMix(own, others, c.Seed)
	}
	r.notef("%d pairs of the %v set and %d of the %d others", len(own), c.Kind, len(mixed)-len(own), len(others))
	return mixed, nil
}
