package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/train"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// shares of the safety data in percent, those of figures 14, 15 and 33.
var shares = []int{0, 1, 10, 25, 50, 100}

// tenth is the place of 10 % among them.
const tenth = 2

// each is the number of answers to a test prompt: a difference between neighbouring shares is small beside that between two answers.
const each = 4

// dose is a model that was fine-tuned with a share of the safety data, and its answers to test prompts.
type dose struct {
	percent  int
	examples int // of safety data
	answers  []data.Sample
	asked    func(data.Sample) string // the question of an answer's prompt
}

// of takes a number of each answer to prompts of a kind, with the questions.
func (d dose) of(kinds []oracle.Kind, which oracle.Kind, number func(data.Sample) float64) (values []float64, questions []string) {
	return column(d.answers, kinds, which, number), column(d.answers, kinds, which, d.asked)
}

// doses fine-tunes the pretrained model as the paper does (section 4.2.3): all helpfulness data, and more and more of the safety data. Helpfulness data are the
// demonstrations for normal prompts and V1's best answers to normal prompts; safety data are V1's best answers to hazards, by the safety
// model. Borderline prompts are in neither: what becomes of them is a side effect. The kinds are those of the answers' prompts.
func (b *bench) doses(ctx context.Context) ([]dose, []oracle.Kind, error) {
	ofPrompts, err := b.kinds()
	if err != nil {
		return nil, nil, err
	}
	var kinds []oracle.Kind
	for _, k := range ofPrompts {
		kinds = append(kinds, slices.Repeat([]oracle.Kind{k}, each)...)
	}
	if _, err := b.Versions(ctx); err != nil {
		return nil, nil, err
	}
	base, err := b.Base(ctx)
	if err != nil {
		return nil, nil, err
	}
	helpful, safe, err := b.safetyData()
	if err != nil {
		return nil, nil, err
	}
	list := make([]dose, len(shares))
	for i, share := range shares {
		d := dose{percent: share, examples: (share*len(safe) + 99) / 100, asked: b.question}
		v := version{fmt.Sprintf("%d %% of the safety data", share), fmt.Sprintf("safety-data/%d", share)}
		s := step{"SFT with safety data", struct {
			Train         any
			Helpful, Safe int
		}{b.SFT, len(helpful), d.examples}, b.SFT.Seed, []string{baseName, runName + "/v1/winners.arrow"}}
		p, err := b.params(v.path, s, func(keep train.Checkpointing) (*model.Params, error) {
			return b.fineTune(ctx, v.name, base, slices.Concat(helpful, safe[:d.examples]), keep)
		})
		if err != nil {
			return nil, nil, err
		}
		if d.answers, err = b.answersOf(ctx, v, p, each, 1); err != nil {
			return nil, nil, err
		}
		list[i] = d
	}
	return list, kinds, nil
}

// safetyData are the examples of both kinds.
func (b *bench) safetyData() (helpful, safe []data.Example, err error) {
	demos := slices.DeleteFunc(b.World.Demonstrations(), func(d data.Conversation) bool {
		kind, e := b.Oracle.Kind(d.Prompt())
		if e != nil {
			err = e
		}
		return kind != normal
	})
	if err != nil {
		return nil, nil, err
	}
	if helpful, err = sft.Encode(b.Tmpl, demos, data.AllTurns); err != nil {
		return nil, nil, err
	}
	winners, _, err := data.Read[data.Sample](b.path(runName + "/v1/winners.arrow"))
	if err != nil {
		return nil, nil, err
	}
	for _, w := range winners {
		kind, err := b.Oracle.Kind(data.Prompt{Messages: w.Messages})
		if err != nil {
			return nil, nil, err
		}
		e := data.Join(w.Prompt, w.Tokens)
		switch kind {
		case normal:
			helpful = append(helpful, e)
		case hazard:
			safe = append(safe, e)
		}
	}
	return helpful, safe, nil
}
