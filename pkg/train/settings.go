package train

import (
	"fmt"
	"math"
	"path"

	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Budget is the room of one micro-batch.
type Budget struct {
	// MicroTokens is the number of token slots of one micro-batch. It decides memory and speed, not
	// results.
	MicroTokens int
	// MicroSegments is the number of sequences that one micro-batch has room for. A pair of answers
	// takes two.
	MicroSegments int
	// Recompute keeps only the input of each layer for the backward pass, which computes the rest
	// again: the intermediates of 12 layers need a sixth of the memory, and a step takes up to a
	// third longer. The bits are the same. Default false.
	Recompute bool
}

// DefaultBudget has room for 64 sequences of 64 tokens.
func DefaultBudget() Budget { return Budget{MicroTokens: 4096, MicroSegments: 64} }

// Validate reports every setting that makes no sense.
func (b Budget) Validate() error {
	c := setting.NewChecks("train: Budget")
	c.AtLeast("MicroTokens", b.MicroTokens, 2)
	c.That(b.MicroSegments >= 1 && b.MicroSegments <= b.MicroTokens, "MicroSegments", b.MicroSegments, "1 to MicroTokens")
	return c.Err()
}

// Passes are the passes of a stage over a list of items.
type Passes struct {
	// Epochs is the number of passes over the items. Paper: 2 for SFT (3.1), 1 for reward models,
	// which more over-fits (3.2.2).
	Epochs int
	// BatchSize is the number of items of an optimisation step: examples of SFT, pairs of a reward
	// model. Paper: 64 (3.1) and 512 (3.2.2).
	BatchSize int
}

// Steps is the number of optimisation steps on that many items.
func (p Passes) Steps(items int) int {
	return (items + p.BatchSize - 1) / p.BatchSize * p.Epochs
}

// Validate reports every setting that makes no sense.
func (p Passes) Validate() error {
	c := setting.NewChecks("train: Passes")
	c.AtLeast("Epochs", p.Epochs, 1)
	c.AtLeast("BatchSize", p.BatchSize, 1)
	return c.Err()
}

// Settings are what every stage that trains by Fit lets its user choose. A stage embeds them in its
// Config.
type Settings struct {
	// Optim is AdamW; its learning rate is the peak. Paper: 3e-4 for pretraining (7B and 13B, table
	// 1), 2e-5 for SFT (3.1), 1e-5 for reward models (3.2.2); weight decay 0.1.
	Optim optim.Config
	// MinLRRatio is the end of the cosine as a share of the peak. Paper 2.2 and 3.2.2: 0.1; 3.1
	// gives a cosine without its end.
	MinLRRatio float64
	Budget
	// Seed of the order of the data.
	Seed uint64
	// Frozen are patterns of names of weights that are not trained, such as "embed" or "layers.0.*":
	// they have neither gradients nor moments. * matches any text. Default: none.
	Frozen []string
	// LRFactors multiply the learning rate of weights by name, such as "embed=0.1". The first
	// pattern that fits counts. Default: none.
	LRFactors []LRFactor
	// EvalEvery is the number of steps between evaluations on held-out items; there is one after the
	// last step too. The weights of the best one are the result. 0 disables them. Default 0.
	EvalEvery int
	// Patience is the number of evaluations in a row without a better one after which training
	// stops. 0 disables it. Default 0.
	Patience int
	// ExtraWeights are custom weights in addition to the model's, float32, that the loss finds by name: see
	// LossInputs.Extra. They are trained in place, and saved in checkpoints.
	ExtraWeights []optim.Param `json:"-"`
	// Checkpointing says where the run saves its state, to resume after a stop. Default: nowhere.
	Checkpointing Checkpointing `json:"-"`
	// MaxMemory is the number of bytes that training may work in, see Plan.Memory; 0 for no limit. A run
	// that needs more is refused before its first step.
	MaxMemory int `json:"-"`
	// OnPlan, if not nil, is called before the first step with what the run is going to do.
	OnPlan func(Plan) `json:"-"`
	// OnPhase, if not nil, is called when something begins that may take long: "compiling", "hashing", and
	// "training", with the steps done before and the steps planned.
	OnPhase func(phase string, done, total int) `json:"-"`
	// OnStep, if not nil, is called after each optimisation step. It can end the run: StepInfo.Stop.
	OnStep func(StepInfo) `json:"-"`
}

// DefaultSettings are the paper's (section 2.2) with the learning rate of a stage.
func DefaultSettings(learningRate float64) Settings {
	return Settings{
		Optim:      optim.DefaultConfig(learningRate),
		MinLRRatio: 0.1,
		Budget:     DefaultBudget(),
	}
}

// Validate reports every setting that makes no sense. Patterns that match no weight are reported by
// Fit, which knows the names.
func (s Settings) Validate() error {
	c := setting.NewChecks("train: Settings")
	c.Nested("Optim", s.Optim.Validate())
	c.Share("MinLRRatio", s.MinLRRatio)
	c.Nested("", s.Budget.Validate())
	for i, p := range s.Frozen {
		c.That(validPattern(p), fmt.Sprintf("Frozen[%d]", i), p, "a pattern of names, such as layers.0.*")
	}
	for i, f := range s.LRFactors {
		at := fmt.Sprintf("LRFactors[%d]", i)
		c.That(validPattern(f.Pattern), at, f, "a pattern of names, such as layers.0.*, and a factor")
		c.That(f.Factor >= 0 && !math.IsInf(f.Factor, 1), at, f, "a factor of at least 0")
	}
	c.AtLeast("EvalEvery", s.EvalEvery, 0)
	c.AtLeast("MaxMemory", s.MaxMemory, 0)
	c.AtLeast("Patience", s.Patience, 0)
	c.That(s.Patience == 0 || s.EvalEvery > 0, "Patience", s.Patience, "0 without EvalEvery")
	c.Nested("Checkpointing", s.Checkpointing.Validate())
	return c.Err()
}

func validPattern(pattern string) bool {
	_, err := path.Match(pattern, "")
	return pattern != "" && err == nil
}
