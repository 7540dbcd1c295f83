package data

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Thresholds put the difference between two answers on the scale of four points: from the first on the better one is
// slightly better, from the second on better, from the third on significantly better; below the first it is negligibly
// better. No difference is a tie.
type Thresholds [3]float64

// The thresholds that dialects have by themselves.
var (
	// Points are for grades such as 1 to 5, or rewards.
	pointThresholds = Thresholds{0.3, 1, 2}
	// Shares are for votes and probabilities: those for the answer less those against it, from -1 to 1.
	shareThresholds = Thresholds{0.2, 0.5, 0.8}
	// Steps are for verdicts that have three strengths.
	stepThresholds = Thresholds{1, 2, 3}
)

// Validate wants them to grow.
func (t Thresholds) Validate() error {
	if !(t[0] > 0 && t[1] > t[0] && t[2] > t[1] && t[2] < math.Inf(1)) {
		return fmt.Errorf("data: Thresholds are %v, want three numbers above 0 that grow", [3]float64(t))
	}
	return nil
}

// Rate is the point for a difference above 0.
func (t Thresholds) Rate(difference float64) Rating {
	rating := NegligiblyBetter
	for _, at := range t {
		if difference+1e-9 >= at { // 0.3 of decimals may come out a bit below
			rating++
		}
	}
	return rating
}

// verdict is what one row says about two answers to a prompt.
type verdict struct {
	prompt  []Message
	answers [2]dialogOrText

	// difference says how much better the first answer is: below 0 the second one is, 0 is a tie.
	difference float64
	graded     bool // the size of the difference means something
	thresholds Thresholds
}

var errTie = errSkip{"a tie: neither answer is better"}

// pair makes a preference of a verdict.
func (c PreferenceConfig) pair(v verdict) (Preference, error) {
	if math.IsNaN(v.difference) || math.IsInf(v.difference, 0) {
		return Preference{}, errors.New("the difference between the answers is no number")
	}
	if v.difference == 0 && !c.KeepTies {
		return Preference{}, errTie
	}
	chosen, rejected := v.answers[0], v.answers[1]
	if v.difference < 0 {
		chosen, rejected = rejected, chosen
	}
	p, err := preference(c, chosen.after(v.prompt), rejected.after(v.prompt))
	if err != nil {
		return p, err
	}
	if c.Thresholds != nil {
		v.thresholds = *c.Thresholds
	}
	switch {
	case v.difference == 0:
		p.Rating = NegligiblyBetter
	case v.graded:
		p.Rating = v.thresholds.Rate(math.Abs(v.difference))
	}
	return p, nil
}

// text is an answer as a text.
func text(s string) dialogOrText { return dialogOrText{text: &s} }

// asked is a prompt of one question.
func asked(system, question string) []Message {
	return withSystem(system, []importedMessage{{User, question}})
}

// waiting holds answers that wait for another answer to the same prompt, up to a limit of memory: then those that have
// waited longest are given up.
type waiting[V any] struct {
	answers map[string][]V // by the prompt's DialogID
	order   []string
	size    int
	sizes   map[string]int
	dropped func([]V)
}

const (
	maxWaiting = 64 << 20 // bytes
	waitingFor = 200      // bytes that an answer takes beside its text
)

func newWaiting[V any](dropped func([]V)) *waiting[V] {
	return &waiting[V]{answers: map[string][]V{}, sizes: map[string]int{}, dropped: dropped}
}

// set says which answers to a prompt wait, and how many bytes were added to their texts.
func (w *waiting[V]) set(prompt string, answers []V, added int) {
	if len(answers) == 0 {
		w.forget(prompt)
		return
	}
	if _, ok := w.answers[prompt]; !ok {
		w.order = append(w.order, prompt)
	}
	added += waitingFor * (len(answers) - len(w.answers[prompt]))
	w.answers[prompt] = answers
	w.size += added
	w.sizes[prompt] += added
	for len(w.order) > 1 && w.size > maxWaiting && w.order[0] != prompt {
		oldest := w.order[0]
		w.order = w.order[1:]
		w.dropped(w.answers[oldest])
		w.forget(oldest)
	}
	if len(w.order) > 2*len(w.answers)+1024 {
		w.order = slices.DeleteFunc(slices.Clone(w.order), func(prompt string) bool { return len(w.answers[prompt]) == 0 })
	}
}

func (w *waiting[V]) forget(prompt string) {
	w.size -= w.sizes[prompt]
	delete(w.answers, prompt)
	delete(w.sizes, prompt)
}

// giveUp drops all that is left.
func (w *waiting[V]) giveUp() {
	for _, answers := range w.answers {
		w.dropped(answers)
	}
	clear(w.answers)
	clear(w.sizes)
	w.order, w.size = nil, 0
}
