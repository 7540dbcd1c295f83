package lab

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
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
	encoded, err := l.Tmpl.EncodePrompts(prompts)
	if err != nil {
		return nil, err
	}
	sampled, err := l.Answers(ctx, name, p, encoded, n, temperature, seed)
	if err != nil {
		return nil, err
	}
	return withTexts(sampled, prompts, l.Tok)
}

// Sample gives n answers to each prompt without a word.
func Sample(ctx context.Context, p *model.Params, tok *tokenizer.Tokenizer, tmpl *data.Template, prompts []data.Prompt, n int, cfg generate.Sampling) ([]Answer, error) {
	encoded, err := tmpl.EncodePrompts(prompts)
	if err != nil {
		return nil, err
	}
	sampled, err := generate.Answers(ctx, p, encoded, n, cfg, nil)
	if err != nil {
		return nil, err
	}
	return withTexts(sampled, prompts, tok)
}

// withTexts decodes answers, as many for each prompt.
func withTexts(sampled []data.Answer, prompts []data.Prompt, tok *tokenizer.Tokenizer) ([]Answer, error) {
	answers := make([]Answer, len(sampled))
	for i, a := range sampled {
		text, err := tok.Decode(a.Tokens)
		if err != nil {
			return nil, err
		}
		answers[i] = Answer{Answer: a, Asked: prompts[i*len(prompts)/len(sampled)], Text: text}
	}
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

// Preference is one as annotators see it.
func Preference(p pipeline.SampledPreference) data.Preference {
	return data.Preference{
		Messages: p.Messages, Chosen: p.Chosen, Rejected: p.Rejected, Rating: p.Rating,
		ChosenSafe: p.ChosenSafe, RejectedSafe: p.RejectedSafe, Set: p.Set,
	}
}

// Compare samples two answers per prompt from a model and asks an annotator. Reward models get the tokens that were sampled; only
// annotators read text.
func (l *Lab) Compare(ctx context.Context, name string, p *model.Params, who *world.Annotator, prompts []data.Prompt, pairs int, sets ...data.Set) ([]pipeline.SampledPreference, error) {
	var sides [2][]Answer
	for k, temperature := range l.Iteration.PairTemperatures {
		var err error
		if sides[k], err = l.Sample(ctx, fmt.Sprintf("%s %d", name, k+1), p, prompts, pairs, temperature, uint64(100+k)); err != nil {
			return nil, err
		}
	}
	var list []pipeline.SampledPreference
	for i, first := range sides[0] {
		for _, set := range sets {
			compared, ok, err := Compared(who, first, sides[1][i], set)
			if err != nil {
				return nil, err
			}
			if ok {
				list = append(list, compared)
			}
		}
	}
	return list, nil
}

// Compared asks an annotator about two answers to a prompt; not ok is no preference.
func Compared(who *world.Annotator, first, second Answer, set data.Set) (p pipeline.SampledPreference, ok bool, err error) {
	pref, ok, err := who.Compare(first.Asked, first.Text, second.Text, set)
	chosen, rejected := first, second
	if pref.Chosen != first.Text {
		chosen, rejected = rejected, chosen
	}
	return pipeline.SampledPreference{
		Messages: pref.Messages, Chosen: pref.Chosen, Rejected: pref.Rejected, Rating: pref.Rating,
		ChosenSafe: pref.ChosenSafe, RejectedSafe: pref.RejectedSafe, Set: pref.Set,
		PromptIDs: first.Prompt.Tokens, ChosenIDs: chosen.Tokens, RejectedIDs: rejected.Tokens,
	}, ok, err
}
