package world

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

// use is what prompts are for.
type use int

const (
	sft use = iota
	helpfulness
	safety
	rl
	validation
	test
	numUses
)

func (u use) String() string {
	return [...]string{"sft", "helpfulness", "safety", "rl", "validation", "test"}[u]
}

// split is the split of (entity, question) pairs that a use draws from. Both sets of preferences share one.
func (u use) split() int {
	if u < safety {
		return int(u)
	}
	return int(u) - 1
}

const numSplits = 5

// prompt is a question in the words of a template.
type prompt struct {
	question lang.Question
	template int
}

// A World is a set of entities with facts, and prompts about them. It never changes after New.
type World struct {
	config  Config
	lexicon *lang.Lexicon
	prompts [numUses][]prompt
	seen    [lang.Kinds][]lang.Key // keys of prompts one may train on, by kind

	harmless [numSplits][]lang.Key // keys of normal prompts
}

// Streams of random numbers, one for each use, so that a change of one leaves the others alone.
const (
	streamSplits uint64 = iota + 1
	streamPretraining
	streamDemonstrations
	streamPrePrompts
	streamInstructions
	streamDialogs
	streamDialogDemonstrations
	streamCovert
)

// New makes the world of a config.
func New(c Config) (*World, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	lexicon, err := lang.New(c.Seed, c.Entities)
	if err != nil {
		return nil, err
	}
	w := &World{config: c, lexicon: lexicon}
	rng := rand.New(rand.NewPCG(c.Seed, streamSplits))
	w.harmless = divide(rng, lang.Keys(lang.Normal, c.Entities), c.Splits)
	hazards := divide(rng, lang.Keys(lang.Hazard, c.Entities), c.Splits)
	// Covert prompts have a separate stream, so that a world without them has the texts that it had
	// before there were any.
	covert := rand.New(rand.NewPCG(c.Seed, streamCovert))
	for u := range numUses {
		for k := range lang.Kind(lang.Kinds) {
			keys, rng := w.harmless[u.split()], rng
			if k.Harmful() {
				keys = hazards[u.split()]
			}
			if k == lang.Covert {
				rng = covert
			}
			list, err := ask(rng, u, k, keys, c.counts()[u].of(k))
			if err != nil {
				return nil, err
			}
			w.prompts[u] = append(w.prompts[u], list...)
			if u == sft || u == helpfulness || u == rl {
				w.seen[k] = append(w.seen[k], keysOf(k, keys)...)
			}
		}
		shuffle(rng, w.prompts[u])
	}
	for _, k := range w.posted() {
		if len(w.seen[k]) == 0 && c.Pretraining.Threads > 0 {
			return nil, fmt.Errorf("world: no %v question is left for the pretraining text: raise Entities or the shares of SFT, Preference and RL", k)
		}
	}
	return w, nil
}

// divide gives each split its share of the keys, of each number of attributes asked for alike.
func divide(rng *rand.Rand, keys []lang.Key, shares Splits) [numSplits][]lang.Key {
	bySize := map[int][]lang.Key{}
	largest := 0
	for _, k := range keys {
		n := k.Attrs.Len()
		bySize[n] = append(bySize[n], k)
		largest = max(largest, n)
	}
	var out [numSplits][]lang.Key
	for n := 1; n <= largest; n++ {
		group := bySize[n]
		shuffle(rng, group)
		done, sum := 0, 0.0
		for s, share := range shares.list() {
			sum += share
			end := min(int(sum*float64(len(group))+0.5), len(group))
			out[s] = append(out[s], group[done:end]...)
			done = end
		}
	}
	return out
}

// keysOf returns those keys that a question of the kind may ask for.
func keysOf(k lang.Kind, keys []lang.Key) []lang.Key {
	return slices.DeleteFunc(slices.Clone(keys), func(key lang.Key) bool { return key.Attrs.Len() > lang.MaxAsked(k) })
}

// templates is how many templates of a kind the use has, the first ones.
func (u use) templates(k lang.Kind) int {
	if u == test {
		return lang.Templates(k)
	}
	return lang.Templates(k) - lang.TestOnly
}

// ask draws n different prompts of a kind for a split. The last templates are asked in the test split only.
func ask(rng *rand.Rand, u use, k lang.Kind, keys []lang.Key, n int) ([]prompt, error) {
	var all []prompt
	for _, key := range keysOf(k, keys) {
		for t := range u.templates(k) {
			all = append(all, prompt{lang.Question{Kind: k, Key: key}, t})
		}
	}
	if n > len(all) {
		return nil, fmt.Errorf("world: %d %v prompts wanted for %v, only %d exist: raise the share of its split or Entities", n, k, u, len(all))
	}
	shuffle(rng, all)
	return all[:n], nil
}

// Config returns the config that the world was made of.
func (w *World) Config() Config { return w.config }

// Entities returns the names of all entities.
func (w *World) Entities() []string { return slices.Clone(w.lexicon.Entities) }

// Lexicon returns the facts of the world. Its type is internal: only the oracles can use it.
func (w *World) Lexicon() *lang.Lexicon { return w.lexicon }

// PreferencePrompts returns the prompts on which answers are compared for one of the two sets of preferences. The safety set has
// mostly hazard, covert and borderline prompts. Hazard prompts alone have the safety tag.
func (w *World) PreferencePrompts(set data.Set) []data.Prompt {
	if set == data.SafetySet {
		return w.list(safety)
	}
	return w.list(helpfulness)
}

// RLPrompts returns the prompts for rejection sampling and PPO. Hazard prompts alone have the
// safety tag.
func (w *World) RLPrompts() []data.Prompt { return w.list(rl) }

// ValidationPrompts returns the prompts for choosing among versions.
func (w *World) ValidationPrompts() []data.Prompt { return w.list(validation) }

// TestPrompts returns the prompts for the final report. A fifth of their templates occurs nowhere else.
func (w *World) TestPrompts() []data.Prompt { return w.list(test) }

func (w *World) list(u use) []data.Prompt {
	out := make([]data.Prompt, len(w.prompts[u]))
	for i, p := range w.prompts[u] {
		out[i] = w.render(u, i, p)
	}
	return out
}

func (w *World) render(u use, i int, p prompt) data.Prompt {
	return data.Prompt{
		ID:       fmt.Sprintf("%v-%05d", u, i),
		Messages: []data.Message{{Role: data.User, Content: w.lexicon.Ask(p.question, p.template)}},
		Safety:   p.question.Kind == lang.Hazard,
	}
}

func shuffle[T any](rng *rand.Rand, list []T) {
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}
