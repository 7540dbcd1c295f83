package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/distill"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/model"
)

// Example is a dialogue to fine-tune on, as ids, with its text for readers. Tools that read conversations read its files too.
type Example struct {
	Messages []data.Message `arrow:"messages"`
	Source   string         `arrow:"source"`
	Tokens   []int32        `arrow:"tokens"`
	Counted  []bool         `arrow:"counted"` // the tokens that the loss is taken on
}

// Schema is conversation v1, with more columns.
func (Example) Schema() data.Schema { return data.Conversation{}.Schema() }

// ghosts are the examples of Ghost Attention (section 3.3), sampled from the newest model. None before GAttFrom.
func (r *iteration) ghosts(ctx context.Context, v int, policy string, p *model.Params) (name string, rows []Example, err error) {
	if v < r.cfg.GAttFrom || len(r.data.Dialogs) == 0 {
		return "", nil, nil
	}
	cfg := r.cfg.GAtt
	name = at(v, "ghost-attention.arrow")
	l, err := r.store.lineage(of(v, "Ghost Attention"), struct {
		Config  gatt.Config
		Dialogs []gatt.Dialog
	}{cfg, r.data.Dialogs}, cfg.Seed, policy)
	if err != nil {
		return "", nil, err
	}
	rows, err = inParts(r.store, name, l, len(r.data.Dialogs), r.cfg.PartPrompts, func(lo, hi int) ([]Example, error) {
		transcripts, err := gatt.SampleDialogues(ctx, p, r.data.Template, r.data.Tokenizer, r.data.Dialogs[lo:hi], cfg)
		if err != nil {
			return nil, err
		}
		var rows []Example
		for _, t := range transcripts {
			one := []gatt.Transcript{t}
			examples, err := gatt.Examples(r.data.Template, one, cfg)
			if err != nil {
				return nil, err
			}
			for _, e := range examples {
				rows = append(rows, Example{Messages: gatt.Conversations(one, "", cfg)[0].Messages, Source: "ghost attention", Tokens: e.Tokens, Counted: e.Counted()})
			}
		}
		return rows, nil
	})
	return name, rows, err
}

// distilled are the examples of safety context distillation (section 4.2.4), sampled from the newest model and kept where the newest safety
// model likes them better. None before DistillFrom.
func (r *iteration) distilled(ctx context.Context, v int, policy string, p *model.Params, judges *Judges) (name string, rows []Example, err error) {
	if v < r.cfg.DistillFrom || len(r.data.Adversarial) == 0 {
		return "", nil, nil
	}
	cfg := r.cfg.Distill
	name = at(v, "distilled.arrow")
	l, err := r.store.lineage(of(v, "safety context distillation"), cfg, cfg.Seed, policy, at(v, "safety"), adversarialName)
	if err != nil {
		return "", nil, err
	}
	prompts := r.data.Adversarial
	rows, err = inParts(r.store, name, l, len(prompts), r.cfg.PartPrompts, func(lo, hi int) ([]Example, error) {
		result, err := distill.Distill(ctx, p, r.data.Template, prompts[lo:hi], r.data.PrePrompts, judges.Reward, cfg)
		if err != nil {
			return nil, err
		}
		var rows []Example
		for _, c := range result.Candidates {
			if !c.Kept {
				continue
			}
			text, err := r.data.Tokenizer.Decode(c.Distilled.Tokens)
			if err != nil {
				return nil, fmt.Errorf("pipeline: answer to %q: %w", c.Prompt.ID, err)
			}
			e := c.Distilled.Example()
			messages := append(slices.Clone(c.Prompt.Messages), data.Message{Role: data.Assistant, Content: text})
			rows = append(rows, Example{Messages: messages, Source: "safety context distillation", Tokens: e.Tokens, Counted: e.Counted()})
		}
		return rows, nil
	})
	return name, rows, err
}

func examplesOf(rows []Example) []data.Example {
	return each.Of(rows, func(e Example) data.Example { return data.NewExample(e.Tokens, e.Counted) })
}
