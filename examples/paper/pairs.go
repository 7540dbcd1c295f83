package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// ratings from significantly to negligibly better, as the paper's tables have them.
var ratings = []data.Rating{data.SignificantlyBetter, data.Better, data.SlightlyBetter, data.NegligiblyBetter}

var sets = []data.Set{data.HelpfulnessSet, data.SafetySet}

// testPairs are the pairs of answers to test prompts that annotators compared for one of the sets, with the questions of their prompts, since pairs that ask the
// same are not independent.
type testPairs struct {
	pairs     []data.Pair
	texts     []string // of the prompts
	questions []string // that they ask
}

// collected are the pairs of the first batches of the run on which its reward models were trained: those of one set, without those
// that it held out.
func (b *bench) collected(batches int, set data.Set) ([]pipeline.SampledPreference, error) {
	var list []pipeline.SampledPreference
	for v := 1; v <= batches; v++ {
		all, _, err := data.Read[pipeline.SampledPreference](b.path(fmt.Sprintf("%s/v%d/preferences-%v.arrow", runName, v, set)))
		if err != nil {
			return nil, err
		}
		train, _, err := curate.Split(all, b.Iteration.HeldOut, b.Iteration.Seed)
		if err != nil {
			return nil, err
		}
		list = append(list, train...)
	}
	return list, nil
}

// mixes are what the helpfulness and the safety model of a version are trained on (section 3.2.2).
func (b *bench) mixes(batches int) (helpfulness, safety []data.Pair, err error) {
	var pairs [2][]data.Pair
	for _, set := range sets {
		list, err := b.collected(batches, set)
		if err != nil {
			return nil, nil, err
		}
		pairs[set] = pairsOf(list)
	}
	open, err := b.open()
	if err != nil {
		return nil, nil, err
	}
	open, _, err = curate.Split(open, b.Iteration.HeldOut, b.Iteration.Seed)
	if err != nil {
		return nil, nil, err
	}
	public, err := rewardmodel.Encode(b.Tmpl, open)
	if err != nil {
		return nil, nil, err
	}
	helpfulness, safety = rewardmodel.Mixes(pairs[data.HelpfulnessSet], pairs[data.SafetySet], public, b.Iteration.Seed)
	return helpfulness, safety, nil
}

func pairsOf(list []pipeline.SampledPreference) []data.Pair {
	pairs := make([]data.Pair, len(list))
	for i, p := range list {
		pairs[i] = data.Pair{
			Prompt: p.PromptIDs, Chosen: p.ChosenIDs, Rejected: p.RejectedIDs,
			Rating: p.Rating, ChosenSafe: p.ChosenSafe, RejectedSafe: p.RejectedSafe, Set: p.Set,
		}
	}
	return pairs
}

// Test asks the annotators about the chat model's answers to test prompts.
func (b *bench) Test(ctx context.Context, set data.Set) (testPairs, error) {
	var t testPairs
	if _, err := b.Versions(ctx); err != nil {
		return t, err
	}
	s := step{"test pairs", map[string]any{"pairs": b.TestPairs, "temperatures": b.Iteration.PairTemperatures, "max": b.MaxAnswer}, b.Iteration.Seed, []string{startName}}
	list, err := rows(&b.cache, "test-pairs.arrow", s, func() ([]pipeline.SampledPreference, error) {
		chat, err := b.Chat(ctx)
		if err != nil {
			return nil, err
		}
		compared, err := b.Compare(ctx, "test pairs", [2]*model.Params{chat, chat}, b.Annotator, b.World.TestPrompts(), b.TestPairs, sets...)
		list := make([]pipeline.SampledPreference, len(compared))
		for i, c := range compared {
			p := c.Preference
			list[i] = pipeline.SampledPreference{
				Messages: p.Messages, Chosen: p.Chosen, Rejected: p.Rejected, Rating: p.Rating,
				ChosenSafe: p.ChosenSafe, RejectedSafe: p.RejectedSafe, Set: p.Set,
				PromptIDs: c.Pair.Prompt, ChosenIDs: c.Pair.Chosen, RejectedIDs: c.Pair.Rejected,
			}
		}
		return list, err
	})
	if err != nil {
		return t, err
	}
	list = slices.DeleteFunc(list, func(p pipeline.SampledPreference) bool { return p.Set != set })
	for _, p := range list {
		question, err := b.Oracle.Question(data.Prompt{Messages: p.Messages})
		if err != nil {
			return t, err
		}
		t.texts, t.questions = append(t.texts, p.Question()), append(t.questions, question)
	}
	t.pairs = pairsOf(list)
	return t, nil
}

// Judges loads the newest reward models of the run: helpfulness and safety.
func (b *bench) Judges(ctx context.Context) (helpfulness, safety *model.Params, err error) {
	rounds, err := b.Versions(ctx)
	if err != nil {
		return nil, nil, err
	}
	last := rounds[len(rounds)-1]
	if helpfulness, err = model.Load(last.Helpfulness); err != nil {
		return nil, nil, err
	}
	safety, err = model.Load(last.Safety)
	return helpfulness, safety, err
}

// General is a third reward model: other people compared the answers of the run's preferences for both sets, and it learnt from all of them.
func (b *bench) General(ctx context.Context) (*model.Params, error) {
	if b.general != nil {
		return b.general, nil
	}
	rounds, err := b.Versions(ctx)
	if err != nil {
		return nil, err
	}
	var pairs []data.Pair
	for _, set := range sets {
		list, err := b.collected(len(rounds), set)
		if err != nil {
			return nil, err
		}
		for i, pair := range pairsOf(list) {
			p := list[i]
			said, ok, err := b.Others.Compare(data.Prompt{Messages: p.Messages}, p.Chosen, p.Rejected, set)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			if said.Chosen != p.Chosen {
				pair.Chosen, pair.Rejected = pair.Rejected, pair.Chosen
			}
			pair.Rating, pair.ChosenSafe, pair.RejectedSafe = said.Rating, said.ChosenSafe, said.RejectedSafe
			pairs = append(pairs, pair)
		}
	}
	b.general, err = b.rewardModel(ctx, generalName, startName, pairs, b.Iteration.Helpfulness)
	return b.general, err
}

// scores scores both answers of every pair: chosen and rejected in turn.
func scores(ctx context.Context, p *model.Params, pairs []data.Pair) ([]float64, error) {
	scorer, err := rewardmodel.NewScorer(p, lab.MicroTokens, lab.MicroSegments)
	if err != nil {
		return nil, err
	}
	return scorer.ScoreAnswers(ctx, data.AnswersOf(pairs))
}

// hits says of each pair whether the chosen answer has the higher score; a tie counts half.
func hits(scores []float64) []float64 {
	out := make([]float64, len(scores)/2)
	for i := range out {
		switch chosen, rejected := scores[2*i], scores[2*i+1]; {
		case chosen > rejected:
			out[i] = 1
		case chosen == rejected:
			out[i] = 0.5
		}
	}
	return out
}

// only are the values of the pairs with a rating, and their questions.
func (t testPairs) only(values []float64, rating data.Rating) (some []float64, questions []string) {
	return t.where(values, func(p data.Pair) bool { return p.Rating == rating })
}

// where are the values of some pairs, and their questions.
func (t testPairs) where(values []float64, of func(data.Pair) bool) (some []float64, questions []string) {
	for i, p := range t.pairs {
		if of(p) {
			some, questions = append(some, values[i]), append(questions, t.questions[i])
		}
	}
	return some, questions
}
