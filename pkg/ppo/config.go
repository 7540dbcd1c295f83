package ppo

import (
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Unfinished says what becomes of an answer that no stop token ended. Its numbers are in units of the score that PPO
// uses: standard deviations with WhitenScores, raw scores without. The held-out score, which is raw, takes the same number of
// deviations of the scores that the start's held-out answers have.
type Unfinished int

const (
	// UnfinishedPenalty takes Config.UnfinishedValue off the answer's score.
	UnfinishedPenalty Unfinished = iota
	// UnfinishedFixed gives the answer the score Config.UnfinishedValue and leaves its own out of the whitening.
	UnfinishedFixed
	// UnfinishedKeep scores the answer as any other one.
	UnfinishedKeep
)

// String names the choice.
func (u Unfinished) String() string {
	return name(int(u), "UnfinishedPenalty", "UnfinishedFixed", "UnfinishedKeep")
}

// KLControl says how the KL coefficient moves.
type KLControl int

const (
	// KLFixed keeps KLCoef.
	KLFixed KLControl = iota
	// KLAdaptive steers the KL of an answer towards KLTarget, see AdaptKLCoef.
	KLAdaptive
)

// String names the choice.
func (k KLControl) String() string { return name(int(k), "KLFixed", "KLAdaptive") }

func name(i int, names ...string) string {
	if i >= 0 && i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%d, which is none of %v", i, names)
}

// Config of PPO. Take DefaultConfig and change what differs: a zero is never replaced by a default. Where the paper is
// silent the comment says "Open".
type Config struct {
	// Iterations is the number of rounds of sampling and training. Paper 3.2.3: 200 to 400, stopped by held-out prompts. Default 200.
	Iterations int
	// BatchSize is the number of answers sampled in an iteration, at least 2 with WhitenScores
	// or WhitenAdvantages. Paper 3.2.3: 512.
	BatchSize int
	// MiniBatch is the number of answers of an optimisation step; it divides BatchSize. Paper 3.2.3: 64.
	MiniBatch int
	// Epochs is the number of passes over an iteration's answers. Paper 3.2.3, one gradient step per mini-batch: 1.
	Epochs int
	// SamplesPerPrompt is the number of answers to each prompt drawn; it divides BatchSize. Open: 1.
	SamplesPerPrompt int

	// Optim is the policy's AdamW. Paper 3.2.3: 1e-6, betas 0.9 and 0.95, eps 1e-5, weight decay 0.1, clip 1.0.
	Optim optim.Config
	// CriticOptim is the critic's. Open: as the policy's at 1e-5. Not used with SharedTrunk.
	CriticOptim optim.Config
	// MinLRRatio is where a cosine over all iterations ends, as a share of both rates. Paper 3.2.3: the rate is constant, 1.
	MinLRRatio float64
	// SharedTrunk puts the value function on the policy's trunk, as a scalar head, instead of a model of its own. Open: false.
	SharedTrunk bool
	// CriticWarmup is the number of iterations at the start in which only the critic moves. Evaluations in them do not count for
	// Patience and are no candidates for the best policy. Open: 0.
	CriticWarmup int

	// Loss, if not nil, is minimised in place of the ClippedLoss of this config.
	Loss Loss `json:"-"`
	// ClipRange is epsilon of the clipped objective (Schulman et al. 2017, equation 7). Paper 3.2.3: 0.2.
	ClipRange float64
	// ValueClip is how far a value may move from the old one before its loss is clipped; 0 clips nothing. Open: 0.2.
	ValueClip float64
	// ValueCoef is the weight of the value loss. Open: 0.1.
	ValueCoef float64
	// EntropyCoef is the weight of an entropy bonus. Open: 0.
	EntropyCoef float64
	// MaxKL ends an iteration's training when the mean of approxkl_k3 over a mini-batch's tokens, nats, is above it. 0: never. Open: 0.
	MaxKL float64

	// KLCoef is beta, the KL coefficient: reward per nat of KL to the reference. Paper 3.2.3: 0.01 for 7B and 13B, 0.005 for 34B and 70B.
	KLCoef float64
	// KLControl moves beta or keeps it. The paper keeps it: KLFixed.
	KLControl KLControl
	// KLTarget is the KL of an answer, summed over its tokens, in nats, that KLAdaptive steers to. Open: 6.
	KLTarget float64
	// KLHorizon is the number of answers in which KLAdaptive makes a difference. Open: 10000.
	KLHorizon float64

	// Gate takes the safety score where section 3.2.3 says so; false takes the helpfulness score always. Default true.
	Gate bool
	// SafetyThreshold is the safety reward, a probability, below which an answer is judged by its safety. Paper 3.2.3: 0.15.
	SafetyThreshold float64
	// WhitenScores removes mean and scale of an iteration's scores. Paper 3.2.3: true.
	WhitenScores bool
	// WhitenAdvantages removes mean and scale of an iteration's advantages, over all answer tokens. Open: true.
	WhitenAdvantages bool
	// Unfinished and UnfinishedValue say what becomes of an answer cut off by a length limit, in training and in the held-out
	// score. In every mode a policy that ends none of its held-out answers is worse than one that ends some. Open: a penalty of 1.
	Unfinished      Unfinished
	UnfinishedValue float64

	// Gamma is the discount of rewards per token. Open: 1.
	Gamma float64
	// GAELambda is lambda of generalised advantage estimation. Open: 0.95.
	GAELambda float64

	// Sampling says how to sample. Temperature divides the logits in all other log-probabilities too,
	// and is above 0. TopP is 1 and TopK 0: the distribution sampled from has to be the one that is
	// trained. Logits, if not nil, breaks that: see doc.go. Seed keys the order of prompts and
	// mini-batches too. Open: temperature 1 and 256 tokens.
	generate.Sampling

	// EvalEvery is the number of iterations between evaluations on the held-out prompts; 0: never. Open: 10.
	EvalEvery int
	// Patience is the number of evaluations in a row without a better one after which training stops; 0: never. Open: 5.
	Patience int

	train.Budget
	// ExtraSegment and ExtraToken name columns that the Rewarder returns in Score.Extra and Score.TokenExtra and that a
	// custom loss reads from LossInputs.Extra. A name is in one of them only.
	ExtraSegment, ExtraToken []string
	// Checkpointing says where a run saves itself after iterations, to resume after a stop. Default:
	// nowhere.
	Checkpointing train.Checkpointing `json:"-"`
	// OnPhase, if not nil, is called when something begins that may take long: "compiling", "hashing", then in
	// each iteration "sampling", "scoring", "training" and "evaluating", with the iterations done and planned.
	OnPhase func(phase string, done, total int) `json:"-"`
	// OnSamples, if not nil, is called with the answers of each iteration and their scores.
	OnSamples func(iteration int, answers []data.Answer, scores []Score) `json:"-"`
	// MaxMemory is the number of bytes that training may work in, see train.Plan; 0 for no limit. A run
	// that needs more is refused before its first iteration.
	MaxMemory int `json:"-"`
	// OnPlan, if not nil, is called before the first iteration with what the run is going to do.
	OnPlan func(train.Plan) `json:"-"`
	// OnStep, if not nil, is called after each iteration.
	OnStep func(train.StepInfo) `json:"-"`
}

// DefaultConfig holds the paper's values (section 3.2.3) and this package's choices where it gives none.
func DefaultConfig() Config {
	return Config{
		Iterations: 200, BatchSize: 512, MiniBatch: 64, Epochs: 1, SamplesPerPrompt: 1,
		Optim: optim.DefaultConfig(1e-6), CriticOptim: optim.DefaultConfig(1e-5), MinLRRatio: 1,
		ClipRange: 0.2, ValueClip: 0.2, ValueCoef: 0.1,
		KLCoef: 0.01, KLControl: KLFixed, KLTarget: 6, KLHorizon: 10000,
		Gate: true, SafetyThreshold: 0.15, WhitenScores: true, WhitenAdvantages: true,
		Unfinished: UnfinishedPenalty, UnfinishedValue: 1,
		Gamma: 1, GAELambda: 0.95,
		Sampling:  generate.DefaultSampling(),
		EvalEvery: 10, Patience: 5,
		Budget: train.DefaultBudget(),
	}
}

// Validate reports every setting that makes no sense.
func (c Config) Validate() error {
	check := setting.NewChecks("ppo: Config")
	check.Nested("Checkpointing", c.Checkpointing.Validate())
	check.AtLeast("Iterations", c.Iterations, 1)
	check.AtLeast("BatchSize", c.BatchSize, 1)
	check.That(c.BatchSize != 1 || !c.WhitenScores, "BatchSize", c.BatchSize, "at least 2 with WhitenScores: one score alone whitens to 0, whatever it is")
	check.That(c.BatchSize != 1 || !c.WhitenAdvantages, "BatchSize", c.BatchSize, "at least 2 with WhitenAdvantages: the advantages of one answer alone whiten to the same ones, whatever its score")
	check.That(c.MiniBatch >= 1 && c.BatchSize%max(c.MiniBatch, 1) == 0, "MiniBatch", c.MiniBatch, "a divisor of BatchSize")
	check.That(c.SamplesPerPrompt >= 1 && c.BatchSize%max(c.SamplesPerPrompt, 1) == 0, "SamplesPerPrompt", c.SamplesPerPrompt, "a divisor of BatchSize")
	check.AtLeast("Epochs", c.Epochs, 1)
	check.Nested("Optim", c.Optim.Validate())
	if !c.SharedTrunk {
		check.Nested("CriticOptim", c.CriticOptim.Validate())
	}
	check.That(c.MinLRRatio >= 0 && c.MinLRRatio <= 1, "MinLRRatio", c.MinLRRatio, "a share in [0, 1], 1 for a constant rate")
	check.AtLeast("CriticWarmup", c.CriticWarmup, 0)
	check.That(c.CriticWarmup <= 0 || !c.SharedTrunk, "CriticWarmup", c.CriticWarmup, "0 with SharedTrunk: the critic cannot move alone")

	check.That(c.ClipRange > 0 && c.ClipRange < 1, "ClipRange", c.ClipRange, "a number in (0, 1)")
	check.NotNegative("ValueClip", c.ValueClip)
	check.NotNegative("ValueCoef", c.ValueCoef)
	check.NotNegative("EntropyCoef", c.EntropyCoef)
	check.NotNegative("MaxKL", c.MaxKL)
	check.NotNegative("KLCoef", c.KLCoef)
	check.That(c.KLControl == KLFixed || c.KLControl == KLAdaptive, "KLControl", c.KLControl, "KLFixed or KLAdaptive")
	if c.KLControl == KLAdaptive {
		check.Positive("KLTarget", c.KLTarget)
		check.That(c.KLHorizon >= float64(c.BatchSize) && !math.IsInf(c.KLHorizon, 1), "KLHorizon", c.KLHorizon, "at least BatchSize")
	}
	check.That(!c.Gate || c.SafetyThreshold > 0 && c.SafetyThreshold < 1, "SafetyThreshold", c.SafetyThreshold, "a probability in (0, 1)")
	check.That(c.Unfinished >= UnfinishedPenalty && c.Unfinished <= UnfinishedKeep, "Unfinished", c.Unfinished, "one of the Unfinished constants")
	check.That(!math.IsNaN(c.UnfinishedValue) && !math.IsInf(c.UnfinishedValue, 0), "UnfinishedValue", c.UnfinishedValue, "a number")
	check.That(c.Unfinished != UnfinishedPenalty || c.UnfinishedValue >= 0, "UnfinishedValue", c.UnfinishedValue, "at least 0: a penalty is taken off")
	check.Share("Gamma", c.Gamma)
	check.Share("GAELambda", c.GAELambda)

	check.Nested("", c.Sampling.Validate())
	check.That(c.Temperature != 0, "Temperature", c.Temperature, "a positive number: greedy answers to a prompt are all the same")
	const why = ": the distribution sampled from has to be the one that is trained"
	check.That(c.TopP == 1 || c.TopP <= 0 || c.TopP > 1, "TopP", c.TopP, "1"+why)
	check.That(c.TopK <= 0, "TopK", c.TopK, "0"+why)
	check.AtLeast("EvalEvery", c.EvalEvery, 0)
	check.AtLeast("Patience", c.Patience, 0)
	check.AtLeast("MaxMemory", c.MaxMemory, 0)
	check.Nested("", c.Budget.Validate())
	seen := map[string]bool{}
	for _, name := range append(append([]string(nil), c.ExtraSegment...), c.ExtraToken...) {
		check.That(!seen[name], "ExtraSegment and ExtraToken", fmt.Sprintf("naming %q twice", name), "every name once")
		seen[name] = true
	}
	return check.Err()
}
