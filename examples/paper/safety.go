package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/train"
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
}

// doses fine-tunes the pretrained model as the paper does (section 4.2.3): all helpfulness data, and more and more of the safety data. Helpfulness data are the
// demonstrations for normal prompts and V1's best answers to normal prompts; safety data are V1's best answers to hazards, by the safety
// model. Borderline prompts are in neither: what becomes of them is a side effect.
func (b *bench) doses(ctx context.Context) ([]dose, error) {
	base, err := b.Base(ctx)
	if err != nil {
		return nil, err
	}
	helpful, safe, err := b.safetyData()
	if err != nil {
		return nil, err
	}
	list := make([]dose, len(shares))
	for i, share := range shares {
		d := dose{percent: share, examples: (share*len(safe) + 99) / 100}
		v := version{fmt.Sprintf("%d %% of the safety data", share), fmt.Sprintf("safety-data/%d", share)}
		s := step{"SFT with safety data", struct {
			Train         any
			Helpful, Safe int
		}{b.SFT, len(helpful), d.examples}, b.SFT.Seed, []string{baseName, runName + "/v1/winners.arrow"}}
		if _, err := b.params(v.path, s, func(keep train.Checkpointing) (*model.Params, error) {
			return b.fineTune(ctx, v.name, base, slices.Concat(helpful, safe[:d.examples]), b.SFT, keep)
		}); err != nil {
			return nil, err
		}
		if d.answers, err = b.answers(ctx, v, each, 1); err != nil {
			return nil, err
		}
		list[i] = d
	}
	return list, nil
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
	winners, err := readRows[data.Sample](b.path(runName + "/v1/winners.arrow"))
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
