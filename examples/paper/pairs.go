package main

import (
	"context"
	"fmt"
	"slices"

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
		all, err := readRows[pipeline.SampledPreference](b.path(fmt.Sprintf("%s/v%d/preferences-%v.arrow", runName, v, set)))
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
		pairs[set] = numbers(list, pipeline.SampledPreference.Pair)
	}
	open, err := readRows[data.Preference](b.path(openName)) // the public's
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

// Test asks the annotators about the chat model's answers to test prompts.
func (b *bench) Test(ctx context.Context, set data.Set) (t testPairs, err error) {
	s := step{"test pairs", map[string]any{"pairs": b.TestPairs, "temperatures": b.Iteration.PairTemperatures, "max": b.MaxAnswer}, b.Iteration.Seed, []string{startName}}
	list, err := rows(&b.cache, "test-pairs.arrow", s, func() ([]pipeline.SampledPreference, error) {
		chat, err := b.Chat(ctx)
		if err != nil {
			return nil, err
		}
		return b.Compare(ctx, "test pairs", chat, b.Annotator, b.World.TestPrompts(), b.TestPairs, sets...)
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
	t.pairs = numbers(list, pipeline.SampledPreference.Pair)
	return t, nil
}

// General is a third reward model: other people compared the answers of the run's preferences for both sets, and it learnt from all of them.
func (b *bench) General(ctx context.Context) (_ *model.Params, err error) {
	if b.general != nil {
		return b.general, nil
	}
	var pairs []data.Pair
	for _, set := range sets {
		list, err := b.collected(len(b.rounds), set)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			said, ok, err := b.Others.Compare(data.Prompt{Messages: p.Messages}, p.Chosen, p.Rejected, set)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			pair := p.Pair()
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
	return scoreAnswers(ctx, p, data.AnswersOf(pairs))
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
