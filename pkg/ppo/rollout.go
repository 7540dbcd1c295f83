package ppo

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
)

// episode is one answer with what training needs. (T) is one number for each token of the answer.
type episode struct {
	data.Answer
	extra    Score   // for the columns of a custom loss
	raw      float64 // R_c before whitening, a logit
	bySafety bool    // R_c is the safety score
	score    float64 // as PPO uses it

	logProbs, refLogProbs, entropy []float64 // (T) of the policy before this iteration's steps, and of the reference
	values                         []float64 // (T) of the critic before this iteration's steps
	rewards, advantages, returns   []float64 // (T)
}

// heldOutStreams keeps the held-out prompts' random streams apart from those of training, whose IDs count up from 0. Each
// evaluation draws the same numbers, so that it measures the policy and not the dice.
const heldOutStreams = 1 << 63

// sample asks the policy. Tokens stay tokens: nothing is decoded to text and encoded again.
func (t *Trainer) sample(ctx context.Context, prompts []data.TokenPrompt, firstID uint64, samples int) ([]data.Answer, error) {
	key := func(i int) uint64 { return firstID + uint64(i) }
	answers, err := generate.Answers(ctx, t.policy, prompts, samples, t.cfg.Sampling, key)
	if err != nil {
		return nil, fmt.Errorf("ppo: sampling: %w", err)
	}
	return answers, nil
}

// evaluateModels fills in log-probs, entropies and values, as the training graph computes them.
func (t *Trainer) evaluateModels(ctx context.Context, episodes []*episode) error {
	err := t.forward.Each(ctx, lengths(episodes), func(r *data.Ragged, i int) error {
		_, err := r.Append(episodes[i].tokens())
		return err
	}, func(r *data.Ragged, items []int, out [][]float32) {
		for seg, i := range items {
			e := episodes[i]
			first, _ := e.Slots(r, seg)
			take := func(column []float32) []float64 {
				x := make([]float64, len(e.Tokens))
				for t := range x {
					x[t] = float64(column[first+t])
				}
				return x
			}
			e.logProbs, e.entropy, e.values, e.refLogProbs = take(out[0]), take(out[1]), take(out[2]), take(out[3])
		}
	})
	if err != nil {
		return fmt.Errorf("ppo: log-probabilities and values: %w", err)
	}
	return nil
}

// lengths counts the tokens of each episode, prompt included.
func lengths(episodes []*episode) [][]int {
	return each.Of(episodes, func(e *episode) []int { return []int{len(e.Prompt.Tokens) + len(e.Tokens)} })
}

// tokens is prompt and answer, and the marks of the answer's tokens.
func (e *episode) tokens() (tokens []int32, counted []bool) {
	whole := e.Example()
	return whole.Tokens, whole.Counted()
}

// add appends the episode to a micro-batch, with the columns of the loss. What belongs to an action lies in the slot it
// is taken from, and nothing lies anywhere else.
func (e *episode) add(r *data.Ragged, cfg Config) error {
	seg, err := r.Append(e.tokens())
	if err != nil {
		return err
	}
	first, _ := e.Slots(r, seg)
	put := func(name string, x []float64) {
		column := r.TokenColumn(name)
		for t, v := range x {
			column[first+t] = float32(v)
		}
	}
	put(colOldLogProbs, e.logProbs)
	put(colRefLogProbs, e.refLogProbs)
	put(colAdvantages, e.advantages)
	put(colReturns, e.returns)
	put(colOldValues, e.values)
	r.SegmentColumn(colScores)[seg] = float32(e.score)
	for _, name := range cfg.ExtraToken {
		put(extraPrefix+name, e.extra.TokenExtra[name])
	}
	for _, name := range cfg.ExtraSegment {
		r.SegmentColumn(extraPrefix + name)[seg] = float32(e.extra.Extra[name])
	}
	return nil
}
