package model

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// Trunk is a Llama in a graph: from the inputs' tokens to hidden states, and on demand to log-probabilities and scores.
type Trunk struct {
	// Hidden are the states after the final norm: (N, C), exactly 0 in unused slots.
	Hidden *gorgonia.Node

	name   string
	in     *Inputs
	params *Params
	names  []string         // of the weights when the trunk was made
	nodes  []*gorgonia.Node // of the weights, in the same order
	rope   int              // index in in.ropes

	logProbs, entropy, hits, tokenScores, segmentScores *gorgonia.Node // nil until asked for
}

// NewTrunk adds a Llama to the graph of the inputs. The name, such as "policy", tells its nodes from those of other trunks; it must be the
// inputs' only trunk of that name. The weights' dtype is that of the inputs. Shapes are those of p now: add a head before.
//
// A trunk without gradient (a reference model) is one whose ParamNodes are not differentiated.
func NewTrunk(in *Inputs, p *Params, name string) (*Trunk, error) {
	if err := errors.Join(in.err, p.validate()); err != nil {
		return nil, err
	}
	if p.dtype != in.DType {
		return nil, fmt.Errorf("model: trunk %q: weights are %v, the inputs %v: convert them with Params.As", name, p.dtype, in.DType)
	}
	for _, t := range in.trunks {
		if t.name == name {
			return nil, fmt.Errorf("model: the inputs have a trunk %q already", name)
		}
	}
	t := &Trunk{name: name, in: in, params: p}
	for _, q := range p.list {
		t.names = append(t.names, q.Name)
		t.nodes = append(t.nodes, in.input(name+"/"+q.Name, q.Value.Shape()))
	}
	t.rope = in.addRope(p.cfg)
	err := guard(func() (err error) {
		t.Hidden, err = t.build()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("model: trunk %q: %w", name, err)
	}
	in.trunks = append(in.trunks, t)
	return t, nil
}

// build is the forward pass (section 2.2): pre-norm layers of attention and feed-forward net, each added to the residual stream.
func (t *Trunk) build() (*gorgonia.Node, error) {
	cfg := t.params.cfg
	layout := t.in.Layout
	heads := ops.AttentionShape{NumHeads: cfg.NumHeads, NumKVHeads: cfg.NumKVHeads, HeadDim: cfg.HeadDim}
	rope := t.in.ropes[t.rope].node
	var first error // operators refuse nil nodes, so what comes after an error does nothing
	do := func(n *gorgonia.Node, err error) *gorgonia.Node {
		if first == nil {
			first = err
		}
		return n
	}

	x := do(ops.Embed(t.in.Tokens, t.node("embed"), layout)) // (N, C)
	for i := range cfg.NumLayers {
		w := func(part string) *gorgonia.Node { return t.node(layerName(i, part)) }

		h := do(ops.RMSNorm(x, w("attn_norm"), layout, cfg.NormEps)) // (N, C)
		h = do(ops.Linear(h, w("qkv"), layout))                      // (N, (H+2KV) D)
		h = do(ops.CausalAttention(h, rope, layout, heads))          // (N, H D)
		h = do(ops.Linear(h, w("attn_out"), layout))                 // (N, C)
		x = do(ops.Add(x, h, layout))

		h = do(ops.RMSNorm(x, w("ffn_norm"), layout, cfg.NormEps)) // (N, C)
		h = do(ops.Linear(h, w("gate_up"), layout))                // (N, 2F)
		h = do(ops.SwiGLU(h, layout))                              // (N, F)
		h = do(ops.Linear(h, w("down"), layout))                   // (N, C)
		x = do(ops.Add(x, h, layout))
	}
	return do(ops.RMSNorm(x, t.node("norm"), layout, cfg.NormEps)), first
}

// Name is the name the trunk was made with.
func (t *Trunk) Name() string { return t.name }

// Params are the weights the trunk was made for.
func (t *Trunk) Params() *Params { return t.params }

// ParamNodes are the nodes of the weights, in the order of Params.All. A loss that uses no head does not depend on the head's nodes, and
// gorgonia.Grad refuses nodes that the loss does not depend on.
func (t *Trunk) ParamNodes() []*gorgonia.Node { return append([]*gorgonia.Node(nil), t.nodes...) }

// node is the node of that weight, nil if there is none.
func (t *Trunk) node(name string) *gorgonia.Node {
	if i := slices.Index(t.names, name); i >= 0 {
		return t.nodes[i]
	}
	return nil
}

// LogProbs is log p(target | state) of each slot's action at the inputs' temperature: (N), exactly 0 where Mask is 0.
func (t *Trunk) LogProbs() (*gorgonia.Node, error) {
	return t.remember(&t.logProbs, func() (*gorgonia.Node, error) {
		w, err := t.output()
		if err != nil {
			return nil, err
		}
		return ops.TokenLogProbs(t.Hidden, w, t.in.Targets, t.in.Mask, t.in.Temperature, t.in.Layout)
	})
}

// Entropy is the entropy in nats of each slot's action at the inputs' temperature, over the whole vocabulary: (N), exactly 0 where Mask
// is 0.
func (t *Trunk) Entropy() (*gorgonia.Node, error) {
	return t.remember(&t.entropy, func() (*gorgonia.Node, error) {
		w, err := t.output()
		if err != nil {
			return nil, err
		}
		return ops.Entropy(t.Hidden, w, t.in.Targets, t.in.Mask, t.in.Temperature, t.in.Layout)
	})
}

// Hits is 1 where the target is the most probable token, (N), 0 elsewhere and where Mask is 0. It has no gradient. The
// result is remembered.
func (t *Trunk) Hits() (*gorgonia.Node, error) {
	return t.remember(&t.hits, func() (*gorgonia.Node, error) {
		w, err := t.output()
		if err != nil {
			return nil, err
		}
		return ops.TokenHits(t.Hidden, w, t.in.Targets, t.in.Mask, t.in.Temperature, t.in.Layout)
	})
}

// TokenScores is the scalar head on every slot, as a value function wants it: (N), exactly 0 in unused slots.
func (t *Trunk) TokenScores() (*gorgonia.Node, error) {
	return t.remember(&t.tokenScores, func() (*gorgonia.Node, error) {
		return t.head(t.Hidden, false)
	})
}

// SegmentScores is the scalar head on each segment's last token, as a reward model wants it: (S), exactly 0 for unused segments.
func (t *Trunk) SegmentScores() (*gorgonia.Node, error) {
	return t.remember(&t.segmentScores, func() (*gorgonia.Node, error) {
		last, err := ops.TakeRows(t.Hidden, t.in.Layout) // (S, C)
		if err != nil {
			return nil, err
		}
		return t.head(last, true)
	})
}

func (t *Trunk) head(h *gorgonia.Node, perSegment bool) (*gorgonia.Node, error) {
	w, b := t.node(scoreWeight), t.node(scoreBias)
	if w == nil || b == nil {
		return nil, errors.New("no scalar head: call Params.AddHead before NewTrunk")
	}
	return ops.ScalarHead(h, w, b, t.in.Layout, perSegment)
}

func (t *Trunk) output() (*gorgonia.Node, error) {
	name := "output"
	if t.params.cfg.TieEmbeddings {
		name = "embed"
	}
	if w := t.node(name); w != nil {
		return w, nil
	}
	return nil, errors.New("no output projection: it was dropped, or the checkpoint is a reward model without one")
}

// remember builds a result once.
func (t *Trunk) remember(slot **gorgonia.Node, build func() (*gorgonia.Node, error)) (*gorgonia.Node, error) {
	if *slot != nil {
		return *slot, nil
	}
	var node *gorgonia.Node
	err := guard(func() (err error) {
		node, err = build()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("model: trunk %q: %w", t.name, err)
	}
	*slot = node
	return node, nil
}

// guard turns gorgonia's panics into errors.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("gorgonia: %v", r)
		}
	}()
	return f()
}

// addRope finds or makes the table of rotary angles, as long as the longest segment can be.
func (in *Inputs) addRope(cfg Config) int {
	rows := min(in.N, cfg.MaxSeqLen)
	for i, r := range in.ropes {
		if r.theta == cfg.RopeTheta && r.rows == rows && r.dim == cfg.HeadDim {
			return i
		}
	}
	var table any = kern.RoPETable[float32](rows, cfg.HeadDim, cfg.RopeTheta)
	if in.DType == tensor.Float64 {
		table = kern.RoPETable[float64](rows, cfg.HeadDim, cfg.RopeTheta)
	}
	in.ropes = append(in.ropes, ropeNode{
		theta: cfg.RopeTheta, rows: rows, dim: cfg.HeadDim,
		node:  in.input(fmt.Sprintf("rope/%d", len(in.ropes)), tensor.Shape{rows, cfg.HeadDim}),
		value: tensor.New(tensor.WithShape(rows, cfg.HeadDim), tensor.WithBacking(table)),
	})
	return len(in.ropes) - 1
}
