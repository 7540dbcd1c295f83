package generate

import (
	"context"
	"slices"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/pkg/model"
)

// TurnRequest is a message of a dialogue, to be answered.
type TurnRequest struct {
	// Prompt is the next message; in the first turn it starts with the begin of sequence. Not empty.
	Prompt []int32
	// ID keys the random stream of the answer, as that of a Request does.
	ID uint64
}

// Converse answers dialogues turn after turn: result [i][t] is the answer to turn t of dialogue i, the one that Generate gives to a request
// whose prompt is all that was said before, answers included, and the turn's own prompt. Nothing that was said is computed
// again, so a dialogue costs what its tokens cost once.
//
// A dialogue ends after an answer that is not finished, and before a turn whose prompt leaves no room for an answer in the model's context; it
// has fewer answers than turns then.
//
// The rest is as in Generate. NewDialogPlan tells the memory it takes.
func Converse(ctx context.Context, p *model.Params, dialogs [][]TurnRequest, cfg Sampling) ([][]Sample, error) {
	if err := checkParams(p); err != nil {
		return nil, err
	}
	plan, err := NewDialogPlan(p.Config(), dialogs, cfg)
	if err != nil {
		return nil, err
	}
	out := make([][]Sample, len(dialogs))
	begun, from := begin(dialogs, p.Config().MaxSeqLen)
	if len(begun) == 0 {
		if plan.Samples > 0 && cfg.OnProgress != nil {
			cfg.OnProgress(plan.Samples, plan.Samples)
		}
		return out, nil
	}
	first := each.Of(begun, func(d []TurnRequest) Request { return Request{Prompt: d[0].Prompt, ID: d[0].ID, Samples: 1} })
	b, err := newPlannedBatch(p, plan, first, cfg)
	if err != nil {
		return nil, err
	}
	b.dialogs, b.from = begun, from
	b.todo, b.done = plan.Samples, plan.Samples-turns(begun)
	if err := b.run(ctx); err != nil {
		return nil, err
	}
	for i, place := range from {
		out[place] = b.out[i]
	}
	return out, nil
}

// begin lists the dialogues with room for an answer to their first turn, and where they are from.
func begin(dialogs [][]TurnRequest, context int) (begun [][]TurnRequest, from []int) {
	for i, d := range dialogs {
		if len(d) > 0 && len(d[0].Prompt) < context {
			begun, from = append(begun, d), append(from, i)
		}
	}
	return begun, from
}

// turns counts those of all dialogues.
func turns(dialogs [][]TurnRequest) (n int) {
	for _, d := range dialogs {
		n += len(d)
	}
	return n
}

// goOn lets dialogues that wait for their next turn into the next pass, as long as their prompts fit, and tells how many tokens these have.
func (b *batch) goOn() (tokens int) {
	for _, l := range b.lanes {
		if l != nil && l.waiting != nil && (tokens == 0 || tokens+len(l.waiting) <= promptTokens) {
			tokens += len(l.waiting)
			l.prompt, l.waiting = l.waiting, nil
		}
	}
	return tokens
}

// next is what follows in the slot of a sample that is done: its dialogue's next turn, or nothing.
func (b *batch) next(l *lane) *lane {
	if b.dialogs == nil {
		return nil
	}
	d := b.dialogs[l.req]
	t, said := len(b.out[l.req]), len(l.at.Prompt)+len(l.out.Tokens)
	if t == len(d) || !l.out.Finished || said+len(d[t].Prompt) >= b.context {
		b.done += len(d) - t
		return nil
	}
	last := l.out.Tokens[len(l.out.Tokens)-1:] // was drawn, but not computed yet
	b.out[l.req] = append(b.out[l.req], Sample{})
	at := LogitsContext{ID: d[t].ID, Prompt: slices.Concat(l.at.Prompt, l.out.Tokens, d[t].Prompt)}
	return &lane{slot: l.slot, req: l.req, answer: newAnswer(&b.out[l.req][t], b.cfg, at), waiting: append(last[:1:1], d[t].Prompt...)}
}
