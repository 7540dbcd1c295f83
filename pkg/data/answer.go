package data

import (
	"context"
	"slices"

	"github.com/tame-rlhf/tame/internal/each"
)

// TokenPrompt is a prompt as token ids, as Template.EncodePrompt makes them.
type TokenPrompt struct {
	// ID names the prompt: it keys the random streams of its answers and groups them.
	ID string
	// Tokens is the prompt as a model reads it, begin of sequence included.
	Tokens []int32
	// Safety tags a safety prompt, whose answers are judged by the safety score (section 3.2.3).
	Safety bool
}

// Answer is an answer to a prompt as a model sampled it.
type Answer struct {
	// Prompt is what was asked.
	Prompt TokenPrompt
	// Tokens is the answer without the prompt, with its stop token if there is one.
	Tokens []int32
	// LogProbs is log p of each token under the distribution that it was sampled from.
	LogProbs []float32
	// Finished says that a stop token ended the answer, not a length limit.
	Finished bool
}

// Sequence is prompt and answer in one slice, as reward models read it: their score is taken at the
// last token.
func (a Answer) Sequence() []int32 { return slices.Concat(a.Prompt.Tokens, a.Tokens) }

// Empty says that the answer is a stop token and nothing else. As an unfinished one it is no example
// for a model to learn from.
func (a Answer) Empty() bool { return a.Finished && len(a.Tokens) == 1 }

// Slots are the slots of a segment of prompt and answer whose actions are the answer's tokens, [lo, hi):
// what a column has for each token lies there.
func (a Answer) Slots(r *Ragged, seg int) (lo, hi int) {
	lo, hi = r.Span(seg)
	return lo + len(a.Prompt.Tokens) - 1, hi - 1
}

// Example is prompt and answer as a sequence to train on, with the loss on the answer.
func (a Answer) Example() Example { return Join(a.Prompt.Tokens, a.Tokens) }

// RewardFunc gives one number for each answer, in their order, the higher the better: a reward
// model, a rule, a checker.
type RewardFunc func(ctx context.Context, answers []Answer) ([]float64, error)

// EachAnswer is the RewardFunc that gives every answer the number of f: a rule.
func EachAnswer(f func(Answer) float64) RewardFunc {
	return func(_ context.Context, answers []Answer) ([]float64, error) {
		return each.Of(answers, f), nil
	}
}

// Example is a sequence of token ids to train on.
type Example struct {
	Tokens []int32
	// Weights is the weight of each token in the loss: 1 counts it, 0 leaves it out. As long as
	// Tokens. The first one is not read, because nothing predicts the first token.
	Weights []float32
}

// NewExample is the tokens with weight 1 where they count, else 0.
func NewExample(tokens []int32, counted []bool) Example {
	e := Example{Tokens: tokens, Weights: make([]float32, len(counted))}
	for i, c := range counted {
		if c {
			e.Weights[i] = 1
		}
	}
	return e
}

// Counted says which tokens count in the loss, whatever their weight.
func (e Example) Counted() []bool {
	return each.Of(e.Weights, func(w float32) bool { return w != 0 })
}

// Pair is two answers to one prompt as token ids, and what the annotator said.
type Pair struct {
	Prompt           []int32
	Chosen, Rejected []int32 // answers, with their stop token if they were finished
	Rating           Rating
	ChosenSafe       Safety
	RejectedSafe     Safety
	Set              Set
}

// AnswersOf are the answers of pairs, each with its prompt: the chosen and the rejected one in turn.
func AnswersOf(pairs []Pair) []Answer {
	answers := make([]Answer, 0, 2*len(pairs))
	for _, p := range pairs {
		prompt := TokenPrompt{Tokens: p.Prompt}
		answers = append(answers, Answer{Prompt: prompt, Tokens: p.Chosen}, Answer{Prompt: prompt, Tokens: p.Rejected})
	}
	return answers
}
