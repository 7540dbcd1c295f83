package generate

import (
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/internal/parallel"
	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/model"
)

// promptTokens bounds the prompt tokens that enter one forward pass (a longer prompt enters alone), so that lanes under way
// are not held up for long and a cancelled context is seen soon.
const promptTokens = 1024

// decoder is the part of model.Decoder used here. The last slot is the spare one.
type decoder interface {
	// Forward appends each chunk to its slot and gives the logits (V) after each chunk's last token.
	Forward(chunks []model.Chunk) ([][]float32, error)
	Reset(slot int)
	Backend() backend.Backend
	CopySlot(dst, src int)
}

// batch is continuous batching: the samples under way and what comes next.
type batch struct {
	dec     decoder
	reqs    []Request
	dialogs [][]TurnRequest // that the requests are the first turns of; nil if they are no dialogues
	from    []int           // where the dialogues are among all that were given
	cfg     Sampling
	context int // the model's MaxSeqLen
	out     [][]Sample

	lanes      []*lane    // by slot, nil where free
	samplers   []*sampler // by slot
	nextReq    int        // the first request that is not computed yet
	open       *opened    // the request whose samples did not all fit, its prompt is in the spare slot
	done, todo int        // samples, or turns
}

// lane is a sample under way in a slot.
type lane struct {
	answer
	slot, req int
	waiting   []int32   // a dialogue's next prompt, which waits for room in a pass
	prompt    []int32   // to be computed in the next pass: the request's first sample, a dialogue's turn
	follows   *lane     // whose prompt is computed in the next pass: its other samples
	logits    []float32 // (V) after the last token, in the decoder's memory
	err       error
}

// opened is a request with samples to start and the logits after its prompt.
type opened struct {
	req, next int
	logits    []float32
}

func newBatch(dec decoder, reqs []Request, cfg Sampling, context int) *batch {
	b := &batch{dec: dec, reqs: reqs, cfg: cfg, context: context, out: make([][]Sample, len(reqs)),
		lanes: make([]*lane, cfg.Slots), samplers: make([]*sampler, cfg.Slots)}
	for i, r := range reqs {
		b.out[i] = make([]Sample, r.Samples)
		b.todo += r.Samples
	}
	for i := range b.samplers {
		b.samplers[i] = newSampler(dec.Backend().Float32(), cfg)
	}
	return b
}

// run computes one token of every lane until all samples are done.
func (b *batch) run(ctx context.Context) error {
	for told := 0; b.done < b.todo; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("generate: stopped after %d of %d answers: %w", b.done, b.todo, err)
		}
		if err := b.refill(); err != nil {
			return err
		}
		if err := b.step(); err != nil {
			return err
		}
		if b.cfg.OnProgress != nil && b.done > told {
			told = b.done
			b.cfg.OnProgress(b.done, b.todo)
		}
	}
	return nil
}

// refill lets dialogues go on and gives free slots to the next samples: those of the open request first, then whole requests as long
// as their prompts fit into one pass.
func (b *batch) refill() error {
	spare := len(b.lanes)
	tokens := b.goOn()
	for slot := range b.lanes {
		for b.lanes[slot] == nil && b.open != nil { // again if the very first token ends the sample
			o := b.open
			b.dec.CopySlot(slot, spare)
			l := b.start(slot, o.req, o.next)
			if o.next++; o.next == b.reqs[o.req].Samples {
				b.open = nil
			}
			l.logits = o.logits
			if err := b.draw(l); err != nil {
				return err
			}
		}
		if b.lanes[slot] != nil || b.nextReq == len(b.reqs) {
			continue
		}
		r := b.reqs[b.nextReq]
		if tokens > 0 && tokens+len(r.Prompt) > promptTokens {
			break
		}
		tokens += len(r.Prompt)
		b.admit(slot)
	}
	return nil
}

// admit starts the next request: the sample in the slot computes the prompt, others follow it in the free slots behind.
// Samples that find no slot leave the request open.
func (b *batch) admit(slot int) {
	req := b.nextReq
	b.nextReq++
	b.dec.Reset(slot)
	leader := b.start(slot, req, 0)
	leader.prompt = b.reqs[req].Prompt
	next := 1
	for s := slot + 1; s < len(b.lanes) && next < b.reqs[req].Samples; s++ {
		if b.lanes[s] == nil {
			b.start(s, req, next).follows = leader
			next++
		}
	}
	if next < b.reqs[req].Samples {
		b.open = &opened{req: req, next: next}
	}
}

// start puts a sample into a slot.
func (b *batch) start(slot, req, k int) *lane {
	r := b.reqs[req]
	b.lanes[slot] = &lane{slot: slot, req: req, answer: newAnswer(&b.out[req][k], b.cfg, LogitsContext{ID: r.ID, Sample: k, Prompt: r.Prompt})}
	return b.lanes[slot]
}

// step is one forward pass and one token for every lane.
func (b *batch) step() error {
	var chunks []model.Chunk
	var fed, lanes []*lane
	for _, l := range b.lanes {
		if l == nil || l.waiting != nil {
			continue
		}
		lanes = append(lanes, l)
		switch {
		case l.follows != nil:
			continue
		case l.prompt != nil:
			chunks = append(chunks, model.Chunk{Slot: l.slot, Tokens: l.prompt})
		default:
			chunks = append(chunks, model.Chunk{Slot: l.slot, Tokens: l.out.Tokens[len(l.out.Tokens)-1:]})
		}
		fed = append(fed, l)
	}
	if len(lanes) == 0 {
		return nil // every sample of this round ended with its first token
	}
	logits, err := b.dec.Forward(chunks)
	if err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	for i, l := range fed {
		l.logits = logits[i]
		if o := b.open; o != nil && o.logits == nil && o.req == l.req {
			o.logits = slices.Clone(l.logits)
			b.dec.CopySlot(len(b.lanes), l.slot)
		}
		l.prompt = nil
	}
	for _, l := range lanes {
		if l.follows != nil {
			b.dec.CopySlot(l.slot, l.follows.slot)
			l.logits, l.follows = l.follows.logits, nil
		}
	}
	return b.draw(lanes...)
}

// draw gives each lane its next token, and the slots of samples that end with it to what follows.
func (b *batch) draw(lanes ...*lane) error {
	parallel.For(len(lanes), 1, func(lo, hi int) {
		for _, l := range lanes[lo:hi] {
			l.err = l.draw(b.samplers[l.slot], l.logits)
		}
	})
	for _, l := range lanes {
		if l.err != nil {
			return fmt.Errorf("generate: %s (ID %d), token %d of the answer: %w", b.where(l), l.at.ID, len(l.out.Tokens), l.err)
		}
		if l.ended(b.context) {
			b.done++
			b.lanes[l.slot] = b.next(l)
		}
	}
	return nil
}

// where names a sample for its user.
func (b *batch) where(l *lane) string {
	if b.dialogs == nil {
		return fmt.Sprintf("request %d", l.req)
	}
	return fmt.Sprintf("dialogue %d, turn %d", b.from[l.req], len(b.out[l.req])-1)
}
