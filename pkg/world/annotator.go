package world

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world/internal/judge"
	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

// AnnotatorConfig says how simulated people judge.
type AnnotatorConfig struct {
	Seed uint64 // decides the noise: another seed is another person. Default 1.

	// Noise is the scale of the logistic noise on the difference of the two answers' utilities, so the better answer is
	// chosen with probability sigmoid(difference / Noise). Default 0.22.
	Noise float64

	// Thresholds on the size of the noisy difference, ascending: below the first the choice is rated negligibly better, below the
	// second slightly, below the third better, above significantly. Default 0.2, 0.5, 0.9.
	Thresholds [3]float64

	// LabelFlips is the share of answers whose safety label is wrong. Default 0.05.
	LabelFlips float64

	// The safety utility is -UnsafePenalty for an unsafe answer. A safe answer to a hazard or
	// covert prompt has RefusalBonus if it is a refusal and otherwise 0; one to another prompt has
	// HelpfulShare times its helpfulness, where positive. Default 1.6, 0.3, 0.3.
	UnsafePenalty, RefusalBonus, HelpfulShare float64
}

// DefaultAnnotatorConfig returns the people that quickstart asks.
func DefaultAnnotatorConfig() AnnotatorConfig {
	return AnnotatorConfig{
		Seed: 1, Noise: 0.22, Thresholds: [3]float64{0.2, 0.5, 0.9}, LabelFlips: 0.05,
		UnsafePenalty: 1.6, RefusalBonus: 0.3, HelpfulShare: 0.3,
	}
}

// Validate reports everything that is wrong with the config.
func (c AnnotatorConfig) Validate() error {
	var errs []error
	if !(c.Noise > 0 && c.Noise <= math.MaxFloat64) {
		errs = append(errs, fmt.Errorf("world: annotator: Noise is %v, want above 0 and finite", c.Noise))
	}
	if t := c.Thresholds; !(0 < t[0] && t[0] < t[1] && t[1] < t[2]) {
		errs = append(errs, fmt.Errorf("world: annotator: Thresholds are %v, want three ascending numbers above 0", t))
	}
	if !(c.LabelFlips >= 0 && c.LabelFlips <= 1) {
		errs = append(errs, fmt.Errorf("world: annotator: LabelFlips is %v, want 0 to 1", c.LabelFlips))
	}
	for _, x := range []float64{c.UnsafePenalty, c.RefusalBonus, c.HelpfulShare} {
		if !(x >= 0 && x <= math.MaxFloat64) {
			errs = append(errs, fmt.Errorf("world: annotator: UnsafePenalty, RefusalBonus or HelpfulShare is %v, want 0 or more", x))
		}
	}
	return errors.Join(errs...)
}

// An Annotator is a simulated person who compares answers. The same person says the same about the same two answers, in
// whichever order they are shown and whatever else was asked before. It may be used from several goroutines.
type Annotator struct {
	config  AnnotatorConfig
	lexicon *lang.Lexicon
	judge   *judge.Judge
}

// NewAnnotator returns a person who knows the world's facts.
func NewAnnotator(w *World, c AnnotatorConfig) (*Annotator, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Annotator{config: c, lexicon: w.lexicon, judge: judge.New(w.lexicon)}, nil
}

// Config returns the config that the annotator was made of.
func (a *Annotator) Config() AnnotatorConfig { return a.config }

// Compare shows an annotator two answers to a prompt. It reports false where there is no preference to keep: the answers are the same,
// or, in the safety set, the preferred one is labelled unsafe and the other safe (section 3.2.1 of the paper leaves those out).
func (a *Annotator) Compare(p data.Prompt, first, second string, set data.Set) (data.Preference, bool, error) {
	q, err := a.lexicon.ParseMessages(p.Messages)
	if err != nil {
		return data.Preference{}, false, err
	}
	if first == second {
		return data.Preference{}, false, nil
	}
	if first > second { // the order of showing shall not matter
		first, second = second, first
	}
	rng := a.stream(p, first, second, set)
	v1, v2, difference := a.compare(q, p.Messages, first, second, set)
	noisy := difference + a.config.Noise*logistic(rng)
	safe1, safe2 := a.label(rng, v1.Unsafe), a.label(rng, v2.Unsafe)
	if noisy < 0 {
		first, second = second, first
		safe1, safe2 = safe2, safe1
	}
	if set == data.SafetySet && safe1 == data.Unsafe && safe2 == data.Safe {
		return data.Preference{}, false, nil
	}
	return data.Preference{
		Messages: p.Messages, Chosen: first, Rejected: second, Rating: a.rating(noisy),
		ChosenSafe: safe1, RejectedSafe: safe2, Set: set,
	}, true, nil
}

// Set is what a person judges answers to a prompt by: their safety if the prompt asks how to harm an
// entity, in whatever words, else their helpfulness.
func (a *Annotator) Set(p data.Prompt) (data.Set, error) {
	q, err := a.lexicon.ParseMessages(p.Messages)
	if err == nil && q.Kind.Harmful() {
		return data.SafetySet, nil
	}
	return data.HelpfulnessSet, err
}

// compare judges two answers, and tells how much more the people of a set value the first.
func (a *Annotator) compare(q lang.Question, asked []data.Message, first, second string, set data.Set) (v1, v2 judge.Verdict, difference float64) {
	v1, v2 = a.judge.Judge(q, lang.WithoutSigns(asked, first)), a.judge.Judge(q, lang.WithoutSigns(asked, second))
	return v1, v2, a.utility(set, q.Kind, v1) - a.utility(set, q.Kind, v2)
}

// utility is what the people of a set value.
func (a *Annotator) utility(set data.Set, k lang.Kind, v judge.Verdict) float64 {
	switch {
	case set == data.HelpfulnessSet:
		return v.Helpful
	case v.Unsafe:
		return -a.config.UnsafePenalty
	case !k.Harmful():
		return a.config.HelpfulShare * max(0, v.Helpful)
	case v.Refusal:
		return a.config.RefusalBonus
	}
	return 0
}

// label is the safety label that a person gives.
func (a *Annotator) label(rng *rand.Rand, unsafe bool) data.Safety {
	if unsafe != (rng.Float64() < a.config.LabelFlips) {
		return data.Unsafe
	}
	return data.Safe
}

// stream is the randomness of one comparison.
func (a *Annotator) stream(p data.Prompt, first, second string, set data.Set) *rand.Rand {
	h := fnv.New64a()
	var size [8]byte
	for _, s := range []string{p.Messages[len(p.Messages)-1].Content, first, second} {
		binary.LittleEndian.PutUint64(size[:], uint64(len(s)))
		h.Write(size[:])
		h.Write([]byte(s))
	}
	return rand.New(rand.NewPCG(a.config.Seed, h.Sum64()+uint64(set)))
}

// logistic draws from the standard logistic distribution.
func logistic(rng *rand.Rand) float64 {
	u := (float64(rng.Uint64()>>11) + 0.5) / (1 << 53) // never 0 or 1
	return math.Log(u / (1 - u))
}

// rating puts the size of a noisy difference on the four-step scale.
func (a *Annotator) rating(noisy float64) data.Rating {
	r := data.NegligiblyBetter
	for _, t := range a.config.Thresholds {
		if math.Abs(noisy) >= t {
			r++
		}
	}
	return r
}

// Predictability returns the chance that a preference of this annotator agrees with the true utilities of the two answers, given its
// rating and safety labels: the expected accuracy of a judge who knows the utilities and picks the larger. It is 0.5 where they are equal.
func (a *Annotator) Predictability(p data.Preference) (float64, error) {
	if p.Rating < data.NegligiblyBetter || p.Rating > data.SignificantlyBetter {
		return 0, fmt.Errorf("world: annotator: preference has %v", p.Rating)
	}
	q, err := a.lexicon.ParseMessages(p.Messages)
	if err != nil {
		return 0, err
	}
	_, _, d := a.compare(q, p.Messages, p.Chosen, p.Rejected, p.Set)
	switch {
	case d == 0:
		return 0.5, nil
	case p.Set == data.SafetySet && p.ChosenSafe != p.RejectedSafe:
		// Had the other answer been chosen, the pair would have been left out: the labels have decided.
		if d > 0 {
			return 1, nil
		}
		return 0, nil
	}
	bounds := append(append([]float64{0}, a.config.Thresholds[:]...), math.Inf(1))
	lo, hi := bounds[p.Rating-data.NegligiblyBetter], bounds[p.Rating-data.NegligiblyBetter+1]
	within := func(lo, hi float64) float64 { // that the noisy difference is in an interval
		return sigmoid((hi-math.Abs(d))/a.config.Noise) - sigmoid((lo-math.Abs(d))/a.config.Noise)
	}
	right, wrong := within(lo, hi), within(-hi, -lo)
	if right+wrong == 0 {
		return 1, nil // so far out that neither can be told from 0; the right side is the likelier
	}
	return right / (right + wrong), nil
}

// sigmoid is the distribution function of logistic noise.
func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
