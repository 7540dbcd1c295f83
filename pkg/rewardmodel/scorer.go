package rewardmodel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Scorer scores sequences with a reward model whose weights are shared, not copied. It is for one goroutine at a time.
type Scorer struct {
	params  *model.Params
	forward *train.Forward
	n, s    int // budget of a micro-batch
}

// NewScorer builds the forward graph for micro-batches of n tokens and s segments.
func NewScorer(p *model.Params, n, s int) (*Scorer, error) {
	if !p.HasHead() {
		return nil, errors.New("rewardmodel: the model has no scalar head: it is not a reward model")
	}
	forward, err := train.ForwardOf(p, "reward", n, s, (*model.Trunk).SegmentScores)
	if err != nil {
		return nil, fmt.Errorf("rewardmodel: %w", err)
	}
	return &Scorer{p, forward, n, s}, nil
}

// Score gives the raw score, before any sigmoid, of each sequence: prompt, answer and its EOS. It is read at the last
// token.
func (s *Scorer) Score(ctx context.Context, sequences [][]int32) ([]float64, error) {
	answers := make([]data.Answer, len(sequences))
	for i, sequence := range sequences {
		answers[i].Tokens = sequence
	}
	return s.ScoreAnswers(ctx, answers)
}

// ScoreAnswers is Score of each answer behind its prompt, with the same bits. What answers have in common with the first
// one to their prompt is computed once if they follow each other: the samples of a prompt, the two answers of a pair.
// It is a data.RewardFunc.
func (s *Scorer) ScoreAnswers(ctx context.Context, answers []data.Answer) ([]float64, error) {
	groups, err := s.group(answers)
	if err != nil {
		return nil, fmt.Errorf("rewardmodel: %w", err)
	}
	lengths := make([][]int, len(groups))
	for g, group := range groups {
		for _, seg := range group {
			lengths[g] = append(lengths[g], len(seg.tokens))
		}
	}
	scores := make([]float64, len(answers))
	err = s.forward.Each(ctx, lengths, func(r *data.Ragged, g int) error {
		for _, seg := range groups[g] {
			if err := seg.append(r); err != nil {
				return err
			}
		}
		return nil
	}, func(_ *data.Ragged, inside []int, out [][]float32) {
		k := 0
		for _, g := range inside {
			for _, seg := range groups[g] {
				scores[seg.answer] = float64(out[0][k])
				k++
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("rewardmodel: %w", err)
	}
	for i, x := range scores {
		if x-x != 0 { // NaN or Inf
			return nil, errors.Join(fmt.Errorf("rewardmodel: the score of answer %d is %v", i, x), s.params.CheckFinite())
		}
	}
	return scores, nil
}

// segment is an answer with its prompt, or without the first tokens that it shares with the first one of its group.
type segment struct {
	answer int // its index
	shared int
	tokens []int32
}

// group puts answers to one prompt that follow each other together, as many as a micro-batch has room for.
func (s *Scorer) group(answers []data.Answer) (groups [][]segment, err error) {
	longest := s.params.Config().MaxSeqLen
	root, room := 0, 0 // the last group's first answer, and how many more tokens fit
	for i, answer := range answers {
		sequence, prompt := answer.Sequence(), answer.Prompt.Tokens
		switch {
		case len(sequence) == 0 || len(sequence) > longest:
			return nil, fmt.Errorf("sequence %d has %d tokens, want 1 to the model's context of %d", i, len(sequence), longest)
		case len(sequence) > s.n:
			return nil, &data.TooLongError{Index: i, Length: len(sequence), Budget: s.n, Unit: "tokens"}
		}
		last, shared := len(groups)-1, 0
		if i > 0 && len(prompt) > 0 && slices.Equal(answers[root].Prompt.Tokens, prompt) {
			shared = sharedTokens(prompt, answers[root].Tokens, answer.Tokens)
		}
		seg := segment{i, shared, sequence[shared:]}
		if shared == 0 || len(seg.tokens) > room || len(groups[last]) == s.s {
			groups = append(groups, nil)
			seg, last, root, room = segment{i, 0, sequence}, last+1, i, s.n
		}
		groups[last] = append(groups[last], seg)
		room -= len(seg.tokens)
	}
	return groups, nil
}

func (seg segment) append(r *data.Ragged) (err error) {
	if seg.shared == 0 {
		_, err = r.Append(seg.tokens, nil)
	} else {
		_, err = r.AppendBranch(seg.shared, seg.tokens, nil)
	}
	return err
}
