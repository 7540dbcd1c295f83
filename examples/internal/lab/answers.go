package lab

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/world"
)

// Answer is a sampled answer with its text and that of its prompt.
type Answer struct {
	data.Answer
	Asked data.Prompt
	Text  string
}

// tokensOf are answers as reward models read them.
func tokensOf(answers []Answer) []data.Answer {
	list := make([]data.Answer, len(answers))
	for i, a := range answers {
		list[i] = a.Answer
	}
	return list
}

// Sample gives n answers to each prompt, side by side.
func (l *Lab) Sample(ctx context.Context, name string, p *model.Params, prompts []data.Prompt, n int, temperature float64, seed uint64) ([]Answer, error) {
	requests := make([]generate.Request, len(prompts))
	for i, prompt := range prompts {
		ids, err := l.Tmpl.EncodePrompt(prompt.Messages)
		if err != nil {
			return nil, err
		}
		requests[i] = generate.Request{Prompt: ids, ID: data.StreamKey(prompt.ID), Samples: n}
	}
	task := l.Console.Start(name, len(prompts)*n)
	cfg := generate.Sampling{
		MaxNewTokens: l.MaxAnswer, Temperature: temperature, TopP: 1,
		Stop: []int32{l.Tok.EOS()}, Seed: seed, Slots: 64, OnProgress: func(done, _ int) { task.Update(done, "") },
	}
	sampled, err := generate.Generate(ctx, p, requests, cfg)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, 0, len(prompts)*n)
	tokens := 0
	for i, samples := range sampled {
		for _, s := range samples {
			text, err := l.Tok.Decode(s.Tokens)
			if err != nil {
				return nil, err
			}
			prompt := data.TokenPrompt{ID: prompts[i].ID, Tokens: requests[i].Prompt, Safety: prompts[i].Safety}
			answers = append(answers, Answer{Answer: s.Answer(prompt), Asked: prompts[i], Text: text})
			tokens += len(s.Tokens)
		}
	}
	l.Note(name, tokens, task.Done(fmt.Sprintf("%d answers", len(answers))))
	return answers, nil
}

// Rows turns answers into rows of a dataset.
func Rows(answers []Answer, temperature float64) []data.Sample {
	rows := make([]data.Sample, len(answers))
	for i, a := range answers {
		rows[i] = data.Sample{
			PromptID: a.Prompt.ID, Messages: a.Asked.Messages, Prompt: a.Prompt.Tokens,
			Tokens: a.Tokens, LogProbs: a.LogProbs, Text: a.Text,
			Finished: a.Finished, Temperature: temperature,
		}
	}
	return rows
}

// Comparison is a pair of answers as its tokens, with the annotator's preference.
type Comparison struct {
	Pair       data.Pair
	Preference data.Preference
}

// Compare samples two answers per prompt, from two variants, and asks an annotator. Reward models get the tokens that were
// sampled; only annotators read text.
func (l *Lab) Compare(ctx context.Context, name string, variants [2]*model.Params, who *world.Annotator, prompts []data.Prompt, pairs int, sets ...data.Set) ([]Comparison, error) {
	var sides [2][]Answer
	for k, temperature := range l.Iteration.PairTemperatures {
		var err error
		if sides[k], err = l.Sample(ctx, fmt.Sprintf("%s %d", name, k+1), variants[k], prompts, pairs, temperature, uint64(100+k)); err != nil {
			return nil, err
		}
	}
	var list []Comparison
	for i, first := range sides[0] {
		for _, set := range sets {
			pref, ok, err := who.Compare(first.Asked, first.Text, sides[1][i].Text, set)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			chosen, rejected := first, sides[1][i]
			if pref.Chosen != first.Text {
				chosen, rejected = rejected, chosen
			}
			list = append(list, Comparison{Preference: pref, Pair: data.Pair{
				Prompt: first.Prompt.Tokens, Chosen: chosen.Tokens, Rejected: rejected.Tokens,
				Rating: pref.Rating, ChosenSafe: pref.ChosenSafe, RejectedSafe: pref.RejectedSafe, Set: set,
			}})
		}
	}
	return list, nil
}
