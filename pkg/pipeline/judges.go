package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// JudgesConfig of a pair of reward models.
type JudgesConfig struct {
	// SafetyThreshold is the safety reward, a probability, below which an answer is judged by its safety. Paper 3.2.3: 0.15.
	SafetyThreshold float64
	// MicroTokens and MicroSegments are the budget of one micro-batch, which decides memory and not results.
	MicroTokens, MicroSegments int
	// OnContradiction, if not nil, is called once, when the answers scored so far show that the level of the helpfulness model contradicts the
	// gate: see ppo.GateCount.Contradicts.
	OnContradiction func(ppo.GateCount) `json:"-"`
}

// DefaultJudgesConfig holds the paper's value.
func DefaultJudgesConfig() JudgesConfig {
	return JudgesConfig{SafetyThreshold: 0.15, MicroTokens: 4096, MicroSegments: 64}
}

// Judges are a helpfulness and a safety reward model behind one reward, or one of them, which judges
// all answers then.
type Judges struct {
	scorers         [2]data.RewardFunc // helpfulness and safety, nil for one that is not there
	model           *model.Params
	threshold       float64
	gate            ppo.GateCount
	onContradiction func(ppo.GateCount) // nil when it has been called
}

var scorerNames = [2]string{"helpfulness", "safety"}

var _ ppo.Rewarder = (*Judges)(nil)

// NewJudges takes the weights of both models, which are shared and not copied. One of them may be nil; then there is no gate, and
// cfg.SafetyThreshold is not read.
func NewJudges(helpfulness, safety *model.Params, cfg JudgesConfig) (*Judges, error) {
	j := &Judges{model: cmp.Or(helpfulness, safety), threshold: cfg.SafetyThreshold, onContradiction: cfg.OnContradiction}
	if j.model == nil {
		return nil, errors.New("pipeline: judges: both models are missing, want at least one reward model")
	}
	check := setting.NewChecks("pipeline: JudgesConfig")
	gated := helpfulness != nil && safety != nil
	check.That(!gated || cfg.SafetyThreshold > 0 && cfg.SafetyThreshold < 1, "SafetyThreshold", cfg.SafetyThreshold, "a probability in (0, 1)")
	if err := check.Err(); err != nil {
		return nil, err
	}
	for k, p := range []*model.Params{helpfulness, safety} {
		if p == nil {
			continue
		}
		s, err := rewardmodel.NewScorer(p, cfg.MicroTokens, cfg.MicroSegments)
		if err != nil {
			return nil, fmt.Errorf("pipeline: %s model: %w", scorerNames[k], err)
		}
		j.scorers[k] = s.ScoreAnswers
	}
	return j, nil
}

// LoadJudges reads the reward models of two folders, one of which may be empty. Their tokenizers have to be tok, that of
// the answers.
func LoadJudges(helpfulness, safety string, tok *tokenizer.Tokenizer, cfg JudgesConfig) (*Judges, error) {
	var loaded [2]*model.Params
	for i, path := range []string{helpfulness, safety} {
		if path == "" {
			continue
		}
		p, own, err := model.LoadWithTokenizer(path, "")
		switch {
		case err != nil:
			return nil, fmt.Errorf("pipeline: %w", err)
		case own == nil && tok.VocabSize() > p.Config().VocabSize:
			return nil, fmt.Errorf("pipeline: %s: its vocabulary has %d tokens, the tokenizer of the answers %d: they do not fit together",
				path, p.Config().VocabSize, tok.VocabSize())
		case own != nil && !tokenizer.Same(tok, own):
			return nil, fmt.Errorf("pipeline: %s: its tokenizer is not the one that the answers are encoded with: both models have to come from the same one", path)
		}
		loaded[i] = p
	}
	return NewJudges(loaded[0], loaded[1], cfg)
}

// Model is the helpfulness model, or the only one: what a critic starts from.
func (j *Judges) Model() *model.Params { return j.model }

// both says whether there is a gate.
func (j *Judges) both() bool { return j.scorers[0] != nil && j.scorers[1] != nil }

// Score gives the raw scores of each answer. The only model's is in the place of helpfulness. It implements ppo.Rewarder.
func (j *Judges) Score(ctx context.Context, answers []data.Answer) ([]ppo.Score, error) {
	var raw [2][]float64
	for k, score := range j.scorers {
		if score == nil {
			continue
		}
		var err error
		if raw[k], err = score(ctx, answers); err != nil {
			return nil, fmt.Errorf("pipeline: %s model: %w", scorerNames[k], err)
		}
	}
	helpfulness, safety := raw[0], raw[1]
	scores := make([]ppo.Score, len(answers))
	if !j.both() {
		for i, x := range slices.Concat(helpfulness, safety) {
			scores[i].Helpfulness = x
		}
		return scores, nil
	}
	for i := range scores {
		scores[i] = ppo.Score{Helpfulness: helpfulness[i], Safety: safety[i]}
		_, bySafety := j.Combined(scores[i], answers[i].Prompt.Safety)
		j.gate.Add(scores[i], answers[i].Prompt.Safety, bySafety)
	}
	if j.onContradiction != nil && j.gate.Contradicts() {
		j.onContradiction(j.gate)
		j.onContradiction = nil
	}
	return scores, nil
}

// Columns are raw scores as a data.Sample has them, each nil if there is no such model.
func (j *Judges) Columns(s ppo.Score) (helpfulness, safety *float64) {
	switch {
	case j.both():
		return &s.Helpfulness, &s.Safety
	case j.scorers[1] != nil:
		return nil, &s.Helpfulness
	}
	return &s.Helpfulness, nil
}

// Gate counts what the gate did to all answers that were scored so far.
func (j *Judges) Gate() ppo.GateCount { return j.gate }

// Combined is R_c as a logit: the safety score for safety prompts and for answers that seem unsafe, else helpfulness. It says
// whether the safety score was taken. With one model it is that model's score.
func (j *Judges) Combined(s ppo.Score, safetyPrompt bool) (reward float64, bySafety bool) {
	if !j.both() {
		return s.Helpfulness, false
	}
	return ppo.Combine(s, safetyPrompt, j.threshold)
}

// Rewards gives R_c as a logit for each answer, and whether the safety score was taken.
func (j *Judges) Rewards(ctx context.Context, answers []data.Answer) (rewards []float64, bySafety []bool, err error) {
	scores, err := j.Score(ctx, answers)
	if err != nil {
		return nil, nil, err
	}
	rewards, bySafety = make([]float64, len(answers)), make([]bool, len(answers))
	for i, s := range scores {
		rewards[i], bySafety[i] = j.Combined(s, answers[i].Prompt.Safety)
	}
	return rewards, bySafety, nil
}

// Reward gives R_c as a logit for each answer. It is a data.RewardFunc.
func (j *Judges) Reward(ctx context.Context, answers []data.Answer) ([]float64, error) {
	rewards, _, err := j.Rewards(ctx, answers)
	return rewards, err
}
