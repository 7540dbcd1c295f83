package rewardmodel

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Encode turns preferences into pairs.
func Encode(tmpl *data.Template, preferences []data.Preference) ([]data.Pair, error) {
	pairs := make([]data.Pair, len(preferences))
	for i, p := range preferences {
		var answers [2]data.Answer
		for k, text := range []string{p.Chosen, p.Rejected} {
			var err error
			dialog := append(slices.Clip(p.Messages), data.Message{Role: data.Assistant, Content: text})
			if answers[k], err = tmpl.EncodeAnswer(dialog); err != nil {
				return nil, fmt.Errorf("rewardmodel: preference %d: %w", i, err)
			}
		}
		pairs[i] = data.Pair{
			Prompt: answers[0].Prompt.Tokens, Chosen: answers[0].Tokens, Rejected: answers[1].Tokens,
			Rating: p.Rating, ChosenSafe: p.ChosenSafe, RejectedSafe: p.RejectedSafe, Set: p.Set,
		}
	}
	return pairs, nil
}

// sharedTokens is how many first tokens two answers to a prompt have in common, prompt included. At least the second answer's last
// token is its own.
func sharedTokens(prompt, first, second []int32) int {
	n := 0
	for n < min(len(first), len(second)) && first[n] == second[n] {
		n++
	}
	return len(prompt) + min(n, len(second)-1)
}

// WithoutUnsafeChoices leaves out the pairs whose preferred answer is unsafe while the other is
// safe (section 3.2.1): the paper has none of them, because the safer answer should also be the
// preferred one.
func WithoutUnsafeChoices(pairs []data.Pair) []data.Pair {
	return slices.DeleteFunc(slices.Clone(pairs), func(p data.Pair) bool {
		return p.ChosenSafe == data.Unsafe && p.RejectedSafe == data.Safe
	})
}

// Mixes returns the training data of the helpfulness model and of the safety model (section 3.2.2)
// from pairs collected for each of the two sets and open pairs of either set. Open helpfulness
// pairs are on the side of the helpfulness data, open safety pairs, such as Anthropic's
// harmlessness data, on the side of the safety data: the safety model is trained on all of them.
// Pairs that WithoutUnsafeChoices leaves out are in neither mix, and do not count in any share.
func Mixes(helpfulness, safety, open []data.Pair, seed uint64) (forHelpfulness, forSafety []data.Pair) {
	helpfulness, safety, open = WithoutUnsafeChoices(helpfulness), WithoutUnsafeChoices(safety), WithoutUnsafeChoices(open)
	harmless, helpful := BySet(open, data.SafetySet)
	return HelpfulnessMix(helpfulness, slices.Concat(safety, open), seed),
		SafetyMix(slices.Concat(safety, harmless), slices.Concat(helpfulness, helpful), seed)
}

// HelpfulnessMix is the data of the helpfulness model (section 3.2.2): all helpfulness pairs, and
// as many of the others (safety and open data), drawn at random. The paper says "equal parts of the
// remaining data uniformly sampled" from both. That is read as: the others together are one half of
// the mix, and each of their pairs is drawn with the same probability, so that safety and open data
// take part by their sizes and not half and half.
func HelpfulnessMix(helpfulness, others []data.Pair, seed uint64) []data.Pair {
	return mix(helpfulness, others, len(helpfulness), seed)
}

// SafetyMix is the data of the safety model (section 3.2.2): all safety pairs, harmlessness data
// included, with helpfulness pairs at a proportion of 90 to 10, drawn at random.
func SafetyMix(safety, helpfulness []data.Pair, seed uint64) []data.Pair {
	return mix(safety, helpfulness, (len(safety)+4)/9, seed)
}

func mix(own, others []data.Pair, n int, seed uint64) []data.Pair {
	mixed := append([]data.Pair(nil), own...)
	for _, i := range rand.New(rand.NewPCG(seed, 0x6d6978)).Perm(len(others))[:min(n, len(others))] {
		mixed = append(mixed, others[i])
	}
	return mixed
}

// BySet separates the pairs of a set from the others.
func BySet(pairs []data.Pair, set data.Set) (of, others []data.Pair) {
	for _, p := range pairs {
		if p.Set == set {
			of = append(of, p)
		} else {
			others = append(others, p)
		}
	}
	return of, others
}
