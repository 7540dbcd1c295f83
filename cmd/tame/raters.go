package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// ratersConfig are the reward models that judge answers.
type ratersConfig struct {
	// Helpfulness and Safety are folders of reward models. With both, an answer is judged by its safety if its prompt is tagged as a safety
	// prompt or its safety is below safety_threshold, else by its helpfulness (section 3.2.3). With one, that one judges all answers.
	Helpfulness string `conf:"input"`
	Safety      string `conf:"input"`
}

func (c ratersConfig) check() error {
	if c.Helpfulness == "" && c.Safety == "" {
		return errors.New("helpfulness and safety are both empty, want at least one reward model")
	}
	return nil
}

// raters are the loaded reward models.
type raters struct {
	judges *pipeline.Judges    // both models
	single *rewardmodel.Scorer // the only one
	safety bool                // and that is the safety model

	first *model.Params // the helpfulness model, or the only one
}

var _ ppo.Rewarder = (*raters)(nil)

// load reads the reward models, whose tokenizer has to be the policy's.
func (c ratersConfig) load(tok *tokenizer.Tokenizer, cfg pipeline.JudgesConfig) (*raters, error) {
	var loaded [2]*model.Params
	for i, path := range []string{c.Helpfulness, c.Safety} {
		if path == "" {
			continue
		}
		p, own, err := loadBoth(path, "")
		if err != nil {
			return nil, err
		}
		if err := sameTokenizer(tok, own, p.Config().VocabSize); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		loaded[i] = p
	}
	r := &raters{first: loaded[0]}
	var err error
	if loaded[0] != nil && loaded[1] != nil {
		r.judges, err = pipeline.NewJudges(loaded[0], loaded[1], cfg)
		return r, err
	}
	if r.first == nil {
		r.first, r.safety = loaded[1], true
	}
	r.single, err = rewardmodel.NewScorer(r.first, cfg.MicroTokens, cfg.MicroSegments)
	return r, err
}

// sameTokenizer wants a model to read the ids of the policy's tokenizer. own is the tokenizer in the model's folder, nil for none.
func sameTokenizer(tok, own *tokenizer.Tokenizer, vocabulary int) error {
	if own == nil {
		if tok.VocabSize() > vocabulary {
			return fmt.Errorf("its vocabulary has %d tokens, the policy's tokenizer %d: they do not fit together", vocabulary, tok.VocabSize())
		}
		return nil
	}
	same := tok.VocabSize() == own.VocabSize()
	for id := int32(0); same && int(id) < tok.VocabSize(); id++ {
		same = tok.Piece(id) == own.Piece(id)
	}
	if !same {
		return errors.New("its tokenizer is not the policy's: both models have to come from the same one")
	}
	return nil
}

// Score gives the raw scores of each answer. The only model's is in the place of helpfulness. It implements ppo.Rewarder.
func (r *raters) Score(ctx context.Context, answers []data.Answer) ([]ppo.Score, error) {
	if r.judges != nil {
		return r.judges.Score(ctx, answers)
	}
	prompts, texts := make([][]int32, len(answers)), make([][]int32, len(answers))
	for i, a := range answers {
		prompts[i], texts[i] = a.Prompt.Tokens, a.Tokens
	}
	raw, err := r.single.ScoreAnswers(ctx, prompts, texts)
	if err != nil {
		return nil, err
	}
	scores := make([]ppo.Score, len(answers))
	for i, x := range raw {
		scores[i].Helpfulness = x
	}
	return scores, nil
}

// rate gives the raw scores of sampled answers and the reward that decides.
func (r *raters) rate(ctx context.Context, answers []data.Answer) (scores []ppo.Score, rewards []float64, err error) {
	if scores, err = r.Score(ctx, answers); err != nil {
		return nil, nil, err
	}
	rewards = make([]float64, len(answers))
	for i, s := range scores {
		if rewards[i] = s.Helpfulness; r.judges != nil {
			rewards[i], _ = r.judges.Combined(s, answers[i].Prompt.Safety)
		}
	}
	return scores, rewards, nil
}

// reward gives the reward that decides. It is a data.RewardFunc.
func (r *raters) reward(ctx context.Context, answers []data.Answer) ([]float64, error) {
	_, rewards, err := r.rate(ctx, answers)
	return rewards, err
}
