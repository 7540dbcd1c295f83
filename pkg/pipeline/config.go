package pipeline

import (
	"fmt"

	"github.com/tame-rlhf/tame/pkg/distill"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Config of the iteration over RLHF versions (section 3.2). Take DefaultConfig and change what differs: a zero is never replaced by a
// default. Where the paper is silent the comment says "Open".
type Config struct {
	// Versions is the number of rounds. Paper 3.2.3: V1 to V5.
	Versions int
	// PoolFrom is the first version that is fine-tuned on the best samples of all versions; earlier ones take the last version's only.
	// Paper 3.2.3: 4, because V3 had forgotten how to rhyme. 1 pools always, Versions+1 never.
	PoolFrom int
	// PPOFrom is the first version with PPO on top of rejection sampling. Paper 3.2.3: 5.
	PPOFrom int
	// FromStart fine-tunes every version from the start model instead of from the version before. Open: false.
	FromStart bool

	// PairTemperatures are those of the two answers that annotators compare; the second answer comes from the version before the newest, if
	// there is one. Paper 3.2.1: two variants, and varying temperatures. Open: 0.8 and 1.2.
	PairTemperatures [2]float64
	// HelpfulnessPairs and SafetyPairs are the pairs of answers per prompt that are compared. Open: 1.
	HelpfulnessPairs, SafetyPairs int
	// HeldOut is the share of preference questions, chosen by a hash, whose pairs no reward model
	// is trained on: they measure its accuracy. Open preferences that ask such a question are not
	// trained on either. Paper 3.2.2: 1000 examples of every batch. Open: 0.1.
	HeldOut float64

	// Helpfulness trains the helpfulness model, from the start model, on all preferences so far.
	Helpfulness rewardmodel.Config `conf:"omit=eval_every patience"`
	// Safety trains the safety model likewise.
	Safety rewardmodel.Config `conf:"omit=eval_every patience"`
	// Calibration sets the level of the helpfulness model after training, on the version's fresh helpfulness pairs that are not held out (if it has
	// none, on those of the last version that has): answers of the newest model and the one before it. Its Level may not be below the logit of PPO.SafetyThreshold. The safety model is never moved.
	// Open: rewardmodel.DefaultCalibration.
	Calibration rewardmodel.Calibration
	// Temperatures are those that rejection sampling chooses from for each version, ascending. Paper, figure 8: 0.8 after SFT, 1.2 to
	// 1.3 after RLHF. Default 0.8, 1, 1.2.
	Temperatures []float64
	// Rejection samples answers. Its Temperature and Version are set by the iteration. Its other
	// settings of sampling, such as MaxNewTokens and TopP, are those of the answers that annotators
	// compare too.
	Rejection rejection.Config `conf:"omit=stop vocab temperature version"`
	// FineTune is SFT on the best answers.
	FineTune sft.Config `conf:"omit=eval_every patience"`
	// PPO runs on top, judged by both reward models.
	PPO ppo.Config `conf:"omit=stop vocab"`
	// GAttFrom is the first version whose fine-tuning has examples of Ghost Attention, made by GAtt with Data.Dialogs if there are any. Paper 3.3: it
	// was applied after V3, so 4.
	GAttFrom int
	GAtt     gatt.Config `conf:"omit=stop vocab repeat"`
	// DistillFrom is the first version whose fine-tuning has examples of safety context distillation, made by Distill with Data.Adversarial if
	// there are any. Open: 1.
	DistillFrom int
	Distill     distill.Config `conf:"omit=stop vocab"`

	// KeepEvery is the number of training steps between two checkpoints; PPO saves after each iteration. It decides what is lost when a run is
	// killed, not its results. Default 100.
	KeepEvery int
	// PartPrompts is the number of prompts whose answers are kept at a time. It decides what is lost when a run is stopped, not its results.
	// Default 256.
	PartPrompts int
	// KeepPreferences lets a run go on in a folder whose results were made with other settings: the preferences that annotators gave
	// are used as they are, and everything else that depends on what has changed is removed and made again, told by
	// Event.Changed. False makes such a result an error. Default false.
	KeepPreferences bool `json:"-" conf:"place"`
	// Seed of all that the stages' own seeds do not decide: pairs, mixes and heads of the reward models.
	Seed uint64
	// Watch, if not nil, is called with each Event.
	Watch func(Event) `json:"-"`
}

// Event is a moment of a run.
type Event struct {
	// Step names the result that is worked on, by its path in the run's folder, such as "v1/helpfulness".
	Step string
	// Done and Total count its parts: optimisation steps, iterations, prompts. Both are 0 when the work on it begins.
	Done, Total int
	// Plan, if not nil, is what training is going to do, with warnings: see train.Plan. Such an event is not about progress.
	Plan *train.Plan
	// Metrics are the numbers of an optimisation step or iteration; nil where there are none.
	Metrics map[string]float64
	// Finished says that the result is there, Reused that it was there before.
	Finished, Reused bool
	// Changed, if not empty, says what Config.KeepPreferences does to Step, and why. Such an event is not about progress.
	Changed string
	// Sampled, if not nil, counts the answers from which the best ones of Step are taken. Such an event is not about progress.
	Sampled *SampleCount
	// Contradiction, if not nil, says that the level of Step, a version's helpfulness model, contradicts the gate: see ppo.GateCount. Such an
	// event is not about progress. It occurs at most once per version.
	Contradiction *ppo.GateCount
}

// DefaultConfig holds the paper's values and this package's choices where it gives none. The stop ids
// of sampling are Llama's end of sequence: with another tokenizer set those of Rejection, of PPO, and
// of GAtt and Distill where they are used.
func DefaultConfig() Config {
	return Config{
		Versions: 5, PoolFrom: 4, PPOFrom: 5,
		PairTemperatures: [2]float64{0.8, 1.2}, HelpfulnessPairs: 1, SafetyPairs: 1, HeldOut: 0.1,
		Helpfulness: rewardmodel.DefaultConfig(), Safety: rewardmodel.SafetyConfig(), Calibration: rewardmodel.DefaultCalibration(),
		Temperatures: []float64{0.8, 1, 1.2}, Rejection: rejection.DefaultConfig(), FineTune: sft.DefaultConfig(), PPO: ppo.DefaultConfig(),
		GAttFrom: 4, GAtt: gatt.DefaultConfig(), DistillFrom: 1, Distill: distill.DefaultConfig(),
		KeepEvery: 100, PartPrompts: 256,
	}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	check := setting.NewChecks("pipeline: Config")
	check.AtLeast("Versions", c.Versions, 1)
	check.AtLeast("PoolFrom", c.PoolFrom, 1)
	check.AtLeast("PPOFrom", c.PPOFrom, 1)
	check.AtLeast("GAttFrom", c.GAttFrom, 1)
	check.AtLeast("DistillFrom", c.DistillFrom, 1)
	check.That(c.PairTemperatures[0] > 0 && c.PairTemperatures[1] > 0, "PairTemperatures", c.PairTemperatures, "two positive numbers: greedy answers to a prompt are all the same")
	check.AtLeast("HelpfulnessPairs", c.HelpfulnessPairs, 1)
	check.AtLeast("SafetyPairs", c.SafetyPairs, 1)
	check.That(c.HeldOut >= 0 && c.HeldOut < 1, "HeldOut", c.HeldOut, "a share in [0, 1)")
	for i, t := range c.PairTemperatures {
		generate.CheckTemperature(check, fmt.Sprintf("PairTemperatures[%d]", i), t)
	}
	for i, t := range c.Temperatures {
		generate.CheckTemperature(check, fmt.Sprintf("Temperatures[%d]", i), t)
	}
	check.Nested("Rejection", c.Rejection.CheckTokens(c.Rejection.Samples, generate.MostTokens/max(c.PartPrompts, 1)))
	check.That(len(c.Temperatures) > 0, "Temperatures", c.Temperatures, "at least one temperature")
	check.AtLeast("KeepEvery", c.KeepEvery, 1)
	check.AtLeast("PartPrompts", c.PartPrompts, 1)
	for _, f := range []struct {
		path  string
		every int
	}{{"Helpfulness.EvalEvery", c.Helpfulness.EvalEvery}, {"Safety.EvalEvery", c.Safety.EvalEvery}, {"FineTune.EvalEvery", c.FineTune.EvalEvery}} {
		check.That(f.every == 0, f.path, f.every, "0: a version trains without held-out items")
	}
	gate := ppo.Logit(c.PPO.SafetyThreshold)
	check.That(c.Calibration.Method == rewardmodel.CalibrateNone || !(c.Calibration.Level < gate), "Calibration.Level", c.Calibration.Level,
		fmt.Sprintf("at least %v, the logit of PPO.SafetyThreshold: an answer below the gate gains when the gate catches it", gate))
	check.Nested("Helpfulness", c.Helpfulness.Validate())
	check.Nested("Safety", c.Safety.Validate())
	check.Nested("Calibration", c.Calibration.Validate())
	check.Nested("Rejection", c.Rejection.Validate())
	check.Nested("FineTune", c.FineTune.Validate())
	check.Nested("PPO", c.PPO.Validate())
	return check.Err()
}

// fit keeps padding of the vocabulary from being sampled.
func (c *Config) fit(d Data) {
	vocab := generate.Known(d.Tokenizer, d.Start.Config().VocabSize)
	c.Rejection.Vocab, c.PPO.Vocab, c.GAtt.Vocab, c.Distill.Vocab = vocab, vocab, vocab, vocab
}

// validateFurther checks what is used with some data only.
func (c Config) validateFurther(d Data) error {
	check := setting.NewChecks("pipeline: Config")
	check.Nested("Rejection", c.Rejection.CheckTokens(c.Rejection.Samples, generate.MostTokens/len(d.Validation)))
	if len(d.Dialogs) > 0 {
		check.Nested("GAtt", c.GAtt.Validate())
	}
	if len(d.Adversarial) > 0 {
		check.Nested("Distill", c.Distill.Validate())
	}
	return check.Err()
}
