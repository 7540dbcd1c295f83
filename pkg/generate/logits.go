package generate

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// LogitsFunc changes the logits (V) of the next token in place, before temperature, top-k and top-p:
// a logit of -Inf bans its token. An error ends the sampling.
//
// It is called from several goroutines at once, for different samples, and must be safe for that.
// Answers stay the same in any slot and any order if it depends on its arguments only. It must not
// keep or write the slices of the LogitsContext.
type LogitsFunc func(at LogitsContext, logits []float32) error

// LogitsContext is the place of a token that is about to be sampled.
type LogitsContext struct {
	// ID is that of the Request or TurnRequest, Sample the index among the request's samples.
	ID     uint64
	Sample int
	// Prompt is everything before the answer: in a dialogue, all earlier turns too.
	Prompt []int32
	// Answer is the answer so far.
	Answer []int32
}

// errAllBanned says that no token is left to sample.
var errAllBanned = errors.New("Sampling.Logits has set every logit to -Inf, want at least one token that may be sampled")

// changed is a copy of the logits (V) as the function leaves them.
func (s *sampler) changed(logits []float32, at LogitsContext) ([]float32, error) {
	s.own = append(s.own[:0], logits...)
	if err := s.change(at, s.own); err != nil {
		return nil, fmt.Errorf("Sampling.Logits: %w", err)
	}
	switch m := float64(s.math.Max(s.known(s.own))); {
	case math.IsInf(m, -1):
		return nil, errAllBanned
	case math.IsNaN(m) || math.IsInf(m, 1):
		return nil, errors.New("Sampling.Logits has set a logit to NaN or +Inf, want finite ones or -Inf")
	}
	return s.own, nil
}

// Ban is a LogitsFunc that keeps sequences of ids out of answers: the last id of a sequence is
// banned where the ones before it are the end of the answer so far. A sequence of one id is banned
// everywhere. The prompt is not searched.
func Ban(sequences ...[]int32) LogitsFunc {
	return func(at LogitsContext, logits []float32) error {
		for _, sequence := range sequences {
			last := len(sequence) - 1
			switch {
			case last < 0:
				return errors.New("Ban: a sequence is empty")
			case sequence[last] < 0 || int(sequence[last]) >= len(logits):
				return fmt.Errorf("Ban: id %d is outside of the vocabulary of %d", sequence[last], len(logits))
			case last <= len(at.Answer) && slices.Equal(sequence[:last], at.Answer[len(at.Answer)-last:]):
				logits[sequence[last]] = float32(math.Inf(-1))
			}
		}
		return nil
	}
}

// BanTokens is a LogitsFunc that keeps ids out of answers.
func BanTokens(ids ...int32) LogitsFunc {
	return Ban(slices.Collect(slices.Chunk(ids, 1))...)
}
