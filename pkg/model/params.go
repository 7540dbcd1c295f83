package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/optim"
)

// Param is one named weight, such as layers.0.qkv; see Params. Matrices are stored (out, in).
type Param = optim.Param

// Params are the weights of a model: named, in a fixed order, all of one dtype. They are those of
// arch.Llama, without an output after DropOutput or with TieEmbeddings, and with a scalar head only
// after AddHead; then what Add has added.
type Params struct {
	cfg    Config
	dtype  tensor.Dtype
	table  arch.Table
	list   []*Param
	added  int // how many of them, at the end, are from Add
	byName map[string]*Param
	ends   []int32  // ids besides cfg.EOS that end an answer
	aside  []string // see LeftAside

	generation map[string]json.RawMessage // see Generation

	backend backend.Backend // nil for cpu.Backend
}

// NewParams makes zeroed weights of that dtype, tensor.Float32 or tensor.Float64. From a config that is not valid, or another dtype,
// come Params without weights, which everything that takes Params refuses with the reason.
func NewParams(cfg Config, dtype tensor.Dtype) *Params { return newParams(arch.Llama(), cfg, dtype) }

func newParams(table arch.Table, cfg Config, dtype tensor.Dtype) *Params {
	p := &Params{cfg: cfg, dtype: dtype, table: table, byName: make(map[string]*Param)}
	if p.validate() != nil {
		return p
	}
	for _, w := range table.Weights(cfg) {
		if !w.Part.Head {
			p.add(p.zeros(w))
		}
	}
	return p
}

// validate says why the weights cannot be used.
func (p *Params) validate() error {
	if err := p.cfg.Validate(); err != nil {
		return err
	}
	return checkDType(p.dtype)
}

// zeros makes a weight of the table.
func (p *Params) zeros(w arch.Weight) *Param {
	return &Param{Name: w.Name, Value: zeros(p.dtype, w.Shape...), Decay: w.Part.Decay}
}

// add puts a weight after the others of the table.
func (p *Params) add(q *Param) {
	p.list = slices.Insert(p.list, len(p.list)-p.added, q)
	p.byName[q.Name] = q
}

// Config is the shape of the model.
func (p *Params) Config() Config { return p.cfg }

// Ends are the ids that end an answer: EOS first, none if it is -1. Chat models may have several, in the list eos_token_id of their
// config.json or generation_config.json.
func (p *Params) Ends() []int32 {
	if p.cfg.EOS < 0 {
		return nil
	}
	return append([]int32{p.cfg.EOS}, p.ends...)
}

// SetEnds makes these the ids that end an answer. The first one is EOS.
func (p *Params) SetEnds(ids ...int32) error {
	if len(ids) == 0 {
		return errors.New("model: ends: no ids, want at least EOS")
	}
	if err := p.cfg.CheckTokens(ids); err != nil {
		return fmt.Errorf("model: ends: %w", err)
	}
	p.cfg.EOS, p.ends = ids[0], slices.Clone(ids[1:])
	return nil
}

// LeftAside says what Load found next to the weights and did not use, such as a second copy of them. Each is a sentence for people; nil if
// there was nothing.
func (p *Params) LeftAside() []string { return slices.Clone(p.aside) }

// DType is tensor.Float32 or tensor.Float64.
func (p *Params) DType() tensor.Dtype { return p.dtype }

// All lists the weights in their fixed order. The slice is the caller's, the weights are shared.
func (p *Params) All() []*Param { return slices.Clone(p.list) }

// Get is the weight of that name, nil if there is none.
func (p *Params) Get(name string) *Param { return p.byName[name] }

// Output is the output projection (V, C): the embedding with TieEmbeddings, nil after DropOutput.
func (p *Params) Output() *Param {
	if p.cfg.TieEmbeddings {
		return p.Get("embed")
	}
	return p.Get("output")
}

// HasHead says whether there is a scalar head.
func (p *Params) HasHead() bool { return p.Get(arch.ScoreWeight) != nil }

// NumParams counts the weights that are there, a scalar head included.
func (p *Params) NumParams() int64 {
	var n int64
	for _, q := range p.list {
		n += int64(q.Value.Shape().TotalSize())
	}
	return n
}

// Init draws fresh weights: norms are 1; embedding and projections are normal with deviation 0.02, those that write into the residual
// stream (attn_out, down) divided by sqrt(2 NumLayers) as in GPT-2, so that its variance does not grow with depth. A scalar head is
// drawn as AddHead draws it; what Add has added keeps its numbers. The paper does not say how it initialises.
func (p *Params) Init(rng *rand.Rand) {
	if len(p.list) == 0 {
		return
	}
	for _, w := range p.table.Weights(p.cfg) {
		if q := p.Get(w.Name); q != nil { // else a dropped output, or no head
			p.init(q, w.Part.Init, rng)
		}
	}
}

// init draws the numbers of one weight.
func (p *Params) init(q *Param, init arch.Init, rng *rand.Rand) {
	const std = 0.02
	switch init {
	case arch.Zeros:
		fill(q.Value, func() float64 { return 0 })
	case arch.Ones:
		fill(q.Value, func() float64 { return 1 })
	case arch.Normal:
		fillNormal(q.Value, rng, std)
	case arch.Residual:
		fillNormal(q.Value, rng, std/math.Sqrt(2*float64(p.cfg.NumLayers)))
	case arch.Score:
		fillNormal(q.Value, rng, 1/math.Sqrt(float64(p.cfg.Dim+1)))
	}
}

// AddHead adds a scalar head, or resets the one that is there. Its weights are normal with variance 1/(C+1) (Stiennon et al. 2020), its
// bias is 0. A nil rng gives a head of zeros, as a value function wants it.
func (p *Params) AddHead(rng *rand.Rand) {
	if len(p.list) == 0 {
		return
	}
	for _, w := range p.table.Weights(p.cfg) {
		if !w.Part.Head {
			continue
		}
		if p.Get(w.Name) == nil {
			p.add(p.zeros(w))
		}
		init := w.Part.Init
		if rng == nil {
			init = arch.Zeros
		}
		p.init(p.Get(w.Name), init, rng)
	}
}

// DropHead removes the scalar head, if there is one.
func (p *Params) DropHead() { p.drop(arch.ScoreWeight); p.drop(arch.ScoreBias) }

// DropOutput removes the output projection, which a reward model or a value function has no use for. Tied weights stay.
func (p *Params) DropOutput() { p.drop("output") }

func (p *Params) drop(name string) {
	if p.isFurther(name) {
		p.added--
	}
	delete(p.byName, name)
	p.list = slices.DeleteFunc(slices.Clone(p.list), func(q *Param) bool { return q.Name == name })
}

// Share has the same weights, not copies of them. What is added to it or dropped from it stays in p as it was.
func (p *Params) Share() *Params {
	c := *p
	c.list, c.byName = slices.Clone(p.list), maps.Clone(p.byName)
	return &c
}

// Clone copies the weights.
func (p *Params) Clone() *Params { return p.As(p.dtype) }

// As copies the weights, converted to that dtype.
func (p *Params) As(dtype tensor.Dtype) *Params {
	c := &Params{cfg: p.cfg, dtype: dtype, table: p.table, byName: make(map[string]*Param), ends: p.ends, generation: p.generation, backend: p.backend}
	if c.validate() != nil {
		return c
	}
	for _, q := range p.list {
		c.add(&Param{Name: q.Name, Value: convert(q.Value, dtype), Decay: q.Decay})
	}
	c.added = p.added
	return c
}

// CopyFrom overwrites the weights with those of q, converted to p's dtype. Both have the same weights, by name and shape.
func (p *Params) CopyFrom(q *Params) error {
	if len(p.list) != len(q.list) {
		return fmt.Errorf("model: copy: %d weights for %d: one of the models has a head, an output projection or a further weight that the other lacks", len(q.list), len(p.list))
	}
	for _, dst := range p.list {
		src := q.Get(dst.Name)
		if src == nil || !src.Value.Shape().Eq(dst.Value.Shape()) {
			return fmt.Errorf("model: copy: no weight %q of shape %v", dst.Name, dst.Value.Shape())
		}
	}
	for _, dst := range p.list {
		if err := tensor.Copy(dst.Value, convert(q.Get(dst.Name).Value, p.dtype)); err != nil {
			return fmt.Errorf("model: copy: %s: %w", dst.Name, err)
		}
	}
	return nil
}
