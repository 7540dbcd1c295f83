package model

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/memory"
	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/backend/cpu"
)

// Decoder runs a model token by token with cached keys and values, for sampling. It holds several sequences at once, one in each slot.
//
// Its logits have the bits of the training graph's forward pass (float32): a row's result does not depend on what else is computed with
// it, and the backend's kernels and their order are the same. So log-probabilities taken while sampling are exactly those that a
// training step starts from.
type Decoder struct {
	cfg           Config
	slots, maxLen int
	backend       backend.Backend

	embed  backend.Table // (V, C)
	layers []decoderLayer
	caches []backend.Cache // of the layers
	norm   backend.Norm    // (C)
	output backend.Matrix  // (V, C)
	length []int           // (slots) tokens in the cache

	// Activations of a piece of at most pieceRows tokens.
	tokens  []int32   // (R)
	spans   []span    // which rows belong to which slot
	x, h    []float32 // (R, C)
	qkv     []float32 // (R, (H+2KV) D)
	attn    []float32 // (R, H D)
	q       []float32 // (R, H D) rotated
	gateUp  []float32 // (R, 2F)
	act     []float32 // (R, F)
	last    []float32 // (slots, C) final-normed states of the last tokens
	logits  []float32 // (slots, V)
	results [][]float32

	weights   int           // numbers in all layers
	parts     []part        // of the piece, by core
	cache     backend.Cache // of the layer whose attention is computed in parallel
	runAll    func(lo, hi int)
	attendAll func(lo, hi int)
}

// span is a run of a slot's tokens among the rows of a piece.
type span struct {
	slot, row, count int
	chunk            int // index of the chunk whose last token is the span's last row, -1 if the chunk goes on
}

// part is a run of spans, [first, end), that one core takes through all layers.
type part struct{ first, end int }

// Chunk is the next tokens of the sequence in a slot.
type Chunk struct {
	Slot   int
	Tokens []int32
}

// pieceRows is the number of tokens that go through the layers together: enough to use the matrix product well, few enough that a long
// prompt needs little memory. Results do not depend on it.
const pieceRows = 64

// DecoderBytes is the memory that NewDecoder allocates for a model of that shape, the weights themselves not counted: packed copies of
// the matrices, caches, activations and logits. It holds for cpu.Backend.
func DecoderBytes(c Config, slots, maxLen int) int64 {
	weights := int64(c.NumLayers)*layerWeights(c) + 2*int64(c.VocabSize)*int64(c.Dim) // with embedding and output
	rows := int64(max(pieceRows, slots))
	activations := rows * int64(1+2*c.Dim+c.QKVDim()+2*c.NumHeads*c.HeadDim+3*c.HiddenDim)
	return CacheBytes(c, slots, maxLen) + 4*(weights+activations+int64(maxLen)*int64(c.HeadDim)+int64(slots)*int64(c.Dim+c.VocabSize))
}

// CacheBytes is the part of DecoderBytes that keeps the keys and values of that many sequences of up to maxLen tokens. Keys are kept for
// whole runs of 32 tokens.
func CacheBytes(c Config, slots, maxLen int) int64 {
	return int64(c.NumLayers) * cpu.Backend{}.CacheBytes(slots, maxLen, headsOf(c, 0))
}

// headsOf is the shape of a layer's attention.
func headsOf(c Config, layer int) backend.Heads {
	return backend.Heads{NumHeads: c.NumHeads, NumKVHeads: c.NumKVHeads, HeadDim: c.HeadDim, Window: c.LayerWindow(layer)}
}

// NewDecoder packs the float32 weights and makes room for that many sequences of at most maxLen tokens; see DecoderBytes. Later changes
// of the weights are not seen: call SetParams.
func NewDecoder(p *Params, slots, maxLen int) (*Decoder, error) {
	c := p.cfg
	if slots < 1 {
		return nil, fmt.Errorf("model: decoder: %d slots, want at least 1", slots)
	}
	if maxLen < 1 || maxLen > c.MaxSeqLen {
		return nil, fmt.Errorf("model: decoder: sequences of %d tokens, want 1 to the model's MaxSeqLen %d", maxLen, c.MaxSeqLen)
	}
	if err := memory.Check(fmt.Sprintf("model: decoder: matrices and caches of %d sequences of up to %d tokens", slots, maxLen), DecoderBytes(c, slots, maxLen)); err != nil {
		return nil, fmt.Errorf("%w: take fewer or shorter sequences, or a smaller model", err)
	}
	d := &Decoder{cfg: c, slots: slots, maxLen: maxLen, backend: p.Backend()}
	if err := d.SetParams(p); err != nil {
		return nil, err
	}
	heads := make([]backend.Heads, c.NumLayers)
	for i := range heads {
		heads[i] = headsOf(c, i)
	}
	d.caches = d.backend.Caches(heads, slots, maxLen, RotationTable[float32](c, maxLen))
	rows := max(pieceRows, slots)
	d.length = make([]int, slots)
	d.tokens = make([]int32, 0, rows)
	d.spans = make([]span, 0, rows)
	d.x = make([]float32, rows*c.Dim)
	d.h = make([]float32, rows*c.Dim)
	d.qkv = make([]float32, rows*c.QKVDim())
	d.attn = make([]float32, rows*c.NumHeads*c.HeadDim)
	d.q = make([]float32, rows*c.NumHeads*c.HeadDim)
	d.gateUp = make([]float32, rows*2*c.HiddenDim)
	d.act = make([]float32, rows*c.HiddenDim)
	d.last = make([]float32, slots*c.Dim)
	d.logits = make([]float32, slots*c.VocabSize)
	d.results = make([][]float32, 0, slots)
	d.weights = int(layerWeights(c)) * c.NumLayers
	d.parts = make([]part, 0, rows)
	d.runAll = d.runParts
	d.attendAll = func(lo, hi int) { d.attendSpans(d.cache, d.spans[lo:hi]) }
	return d, nil
}

// SetParams takes over new weights of the same shape and empties all slots, whose caches belong to the old weights.
func (d *Decoder) SetParams(p *Params) error {
	if err := p.validate(); err != nil {
		return err
	}
	switch {
	case p.dtype != tensor.Float32:
		return fmt.Errorf("model: decoder: weights are %v, want float32: convert them with Params.As", p.dtype)
	case p.cfg != d.cfg:
		return errors.New("model: decoder: weights of another Config")
	case p.Backend() != d.backend:
		return fmt.Errorf("model: decoder: weights for backend %T, want %T", p.Backend(), d.backend)
	case p.Output() == nil:
		return errors.New("model: decoder: the weights have no output projection")
	}
	c := p.cfg
	if d.layers == nil {
		d.layers = make([]decoderLayer, c.NumLayers)
	}
	for i := range d.layers {
		d.layers[i] = newDecoderLayer(p, i)
	}
	d.embed = d.backend.Table(floats[float32](p.Get("embed").Value), c.VocabSize, c.Dim)
	d.norm, d.output = p.norm("norm"), p.matrix(p.Output())
	clear(d.length)
	return nil
}

// Backend is what the decoder computes with, that of its weights.
func (d *Decoder) Backend() backend.Backend { return d.backend }

// Slots is the number of sequences there is room for.
func (d *Decoder) Slots() int { return d.slots }

// MaxLen is the number of tokens a slot has room for.
func (d *Decoder) MaxLen() int { return d.maxLen }

// Len is the number of tokens in a slot.
func (d *Decoder) Len(slot int) int { return d.length[slot] }

// Reset empties a slot.
func (d *Decoder) Reset(slot int) { d.length[slot] = 0 }

// CopySlot makes dst a copy of the sequence in src: samples that share a prompt compute it once.
func (d *Decoder) CopySlot(dst, src int) {
	if dst == src {
		return
	}
	for _, c := range d.caches {
		c.Copy(dst, src, d.length[src])
	}
	d.length[dst] = d.length[src]
}

// Forward appends each chunk's tokens to the sequence in its slot and gives, chunk by chunk, the logits (V) after its last token. They are
// valid until the next Forward. Chunks may be of different length, whole prompts beside single tokens, but each of another slot. On an
// error nothing has changed.
func (d *Decoder) Forward(chunks []Chunk) ([][]float32, error) {
	if err := d.check(chunks); err != nil {
		return nil, err
	}
	d.tokens, d.spans = d.tokens[:0], d.spans[:0]
	for i, c := range chunks {
		for rest := c.Tokens; len(rest) > 0; {
			n := min(len(rest), cap(d.tokens)-len(d.tokens))
			s := span{slot: c.Slot, row: len(d.tokens), count: n, chunk: -1}
			d.tokens = append(d.tokens, rest[:n]...)
			if rest = rest[n:]; len(rest) == 0 {
				s.chunk = i
			}
			d.spans = append(d.spans, s)
			if len(d.tokens) == cap(d.tokens) {
				d.piece()
			}
		}
	}
	d.piece()
	v := d.cfg.VocabSize
	d.output.Apply(d.logits, d.last, len(chunks))
	d.results = d.results[:0]
	for i := range chunks {
		d.results = append(d.results, d.logits[i*v:][:v:v])
	}
	return d.results, nil
}

func (d *Decoder) check(chunks []Chunk) error {
	if len(chunks) > d.slots {
		return fmt.Errorf("model: decoder: %d chunks for %d slots", len(chunks), d.slots)
	}
	for i, c := range chunks {
		switch {
		case c.Slot < 0 || c.Slot >= d.slots:
			return fmt.Errorf("model: decoder: chunk %d is for slot %d of %d", i, c.Slot, d.slots)
		case len(c.Tokens) == 0:
			return fmt.Errorf("model: decoder: chunk %d for slot %d has no tokens", i, c.Slot)
		case d.length[c.Slot]+len(c.Tokens) > d.maxLen:
			return fmt.Errorf("model: decoder: slot %d has %d tokens and gets %d more, there is room for %d", c.Slot, d.length[c.Slot], len(c.Tokens), d.maxLen)
		}
		for _, id := range c.Tokens {
			if id < 0 || int(id) >= d.cfg.VocabSize {
				return fmt.Errorf("model: decoder: token %d in slot %d is outside of the vocabulary of %d", id, c.Slot, d.cfg.VocabSize)
			}
		}
		for _, other := range chunks[:i] {
			if other.Slot == c.Slot {
				return fmt.Errorf("model: decoder: two chunks for slot %d", c.Slot)
			}
		}
	}
	return nil
}
