package eval

import (
	"context"
	"errors"
	"fmt"
)

// Verdict is what a judge says of two answers in the order in which they were shown.
type Verdict int

// The verdicts.
const (
	Tie    Verdict = iota // neither is better
	First                 // the answer shown first
	Second                // the answer shown second
)

// String is tie, first or second.
func (v Verdict) String() string {
	if v < Tie || v > Second {
		return fmt.Sprintf("Verdict(%d)", int(v))
	}
	return [...]string{"tie", "first", "second"}[v]
}

// A Judge compares two answers to a prompt: a person, a reward model, or a large model that is asked. P is a prompt and A an answer, as
// text, tokens or whatever the judge reads.
type Judge[P, A any] func(ctx context.Context, prompt P, first, second A) (Verdict, error)

// Match is two answers to one prompt. The win rate is that of Ours.
type Match[P, A any] struct {
	Prompt       P
	Ours, Theirs A
}

// Wins is the outcome of many matches.
type Wins struct {
	// Rate is (wins + ties/2) / matches with the Wilson interval, which ties make wider than it has to be. 0.5 is parity.
	Rate Mean
	// Wins, Losses and Ties count matches. The rate of wins alone and of ties alone, as the paper reports them, are shares of Rate.N.
	Wins, Losses, Ties int
	// OrderDependent counts the matches whose two verdicts do not agree. They are ties.
	OrderDependent int
	// ShownFirst is the share of verdicts for the answer shown first, of all verdicts that are no tie: 0.5 for a judge without position
	// bias, since every answer is shown first once.
	ShownFirst Mean
}

// WinRate shows every match to the judge twice, in both orders (Touvron et al. 2023, section 3.4). An answer wins if both verdicts are for
// it; anything else is a tie.
func WinRate[P, A any](ctx context.Context, judge Judge[P, A], matches []Match[P, A]) (Wins, error) {
	if len(matches) == 0 {
		return Wins{}, errors.New("eval: win rate: no matches")
	}
	var w Wins
	var first []bool
	for i, m := range matches {
		var verdicts [2]Verdict
		for swapped, answers := range [2][2]A{{m.Ours, m.Theirs}, {m.Theirs, m.Ours}} {
			if err := ctx.Err(); err != nil {
				return Wins{}, fmt.Errorf("eval: win rate: stopped after %d of %d matches: %w", i, len(matches), err)
			}
			v, err := judge(ctx, m.Prompt, answers[0], answers[1])
			if err != nil {
				return Wins{}, fmt.Errorf("eval: win rate: match %d: %w", i, err)
			}
			if v < Tie || v > Second {
				return Wins{}, fmt.Errorf("eval: win rate: match %d: the judge said %v, want tie, first or second", i, v)
			}
			if v != Tie {
				first = append(first, v == First)
			}
			verdicts[swapped] = v
		}
		w.count(verdicts[0], verdicts[1])
	}
	w.Rate = shareOf(float64(w.Wins)+float64(w.Ties)/2, len(matches))
	w.ShownFirst = ShareOf(first)
	return w, nil
}

// count adds a match with the verdicts that were given with our answer first, and with it second.
func (w *Wins) count(oursFirst, oursSecond Verdict) {
	switch {
	case oursFirst == First && oursSecond == Second:
		w.Wins++
	case oursFirst == Second && oursSecond == First:
		w.Losses++
	default:
		w.Ties++
		if oursFirst != Tie || oursSecond != Tie {
			w.OrderDependent++
		}
	}
}

// String is "0.512 [0.490, 0.534], 40 won, 38 lost, 22 tied (5 by order)".
func (w Wins) String() string {
	return fmt.Sprintf("%v, %d won, %d lost, %d tied (%d by order)", w.Rate, w.Wins, w.Losses, w.Ties, w.OrderDependent)
}
