package model

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// Trunk is a Llama in a graph: from the inputs' tokens to hidden states, and on demand to log-probabilities and scores.
//
// Behind the last layer's attention a row depends on itself alone, so what is asked for is computed on the rows that it needs, with
// the bits of Hidden's rows: the last of each segment for SegmentScores; those where Mask is not 0 for LogProbs, Entropy, Hits and
// CountedScores, which share them. A graph that uses two of Hidden, segment scores and counted slots computes that part of the last
// layer twice.
type Trunk struct {
	// Hidden are the states after the final norm: (N, C), exactly 0 in unused slots.
	Hidden *gorgonia.Node
	// QKV are the projections of each layer that its attention is computed from: (N, (H+2KV) D), queries, keys and values of a token side by
	// side, not yet rotated by their position. For looking at; what is not asked for is not kept.
	QKV []*gorgonia.Node

	name   string
	in     *Inputs
	params *Params
	names  []string         // of the weights when the trunk was made
	nodes  []*gorgonia.Node // of the weights, in the same order
	rope   int              // index in in.ropes

	inputs             []*gorgonia.Node // of the layers (N, C)
	residual, attended *gorgonia.Node   // the last layer's input (N, C), and the result of its attention (N, H D)

	counted                                                            *gorgonia.Node // see countedStates; nil until needed
	logProbs, entropy, hits, tokenScores, countedScores, segmentScores *gorgonia.Node // nil until asked for
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
	if err := in.checkBackend(name, p.Backend()); err != nil {
		return nil, err
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
	var err error
	t.Hidden, err = guard(func() (*gorgonia.Node, error) {
		if err := t.build(); err != nil {
			return nil, err
		}
		return t.states(t.residual, t.attended, in.Layout)
	})
	if err != nil {
		return nil, fmt.Errorf("model: trunk %q: %w", name, err)
	}
	in.trunks = append(in.trunks, t)
	return t, nil
}

// chain keeps the first error of a row of operators. They refuse nil nodes, so what comes after an error does nothing.
type chain struct{ err error }

func (c *chain) do(n *gorgonia.Node, err error) *gorgonia.Node {
	if c.err == nil {
		c.err = err
	}
	return n
}

// build is the forward pass (section 2.2) up to the last layer's attention: pre-norm layers of attention and feed-forward net, each
// added to the residual stream.
func (t *Trunk) build() error {
	var c chain
	x := c.do(ops.Embed(t.in.Tokens, t.node("embed"), t.in.Layout)) // (N, C)
	for i := range t.params.cfg.NumLayers {
		if i > 0 {
			x = t.feedForward(&c, i-1, x, t.attended, t.in.Layout)
		}
		t.inputs = append(t.inputs, x)
		t.residual, t.attended = x, t.attention(&c, i, x)
	}
	return c.err
}

// states is the rest of the forward pass, row by row: from rows of residual and attended to final-normed states (R, C).
func (t *Trunk) states(residual, attended, layout *gorgonia.Node) (*gorgonia.Node, error) {
	var c chain
	x := t.feedForward(&c, t.params.cfg.NumLayers-1, residual, attended, layout)
	h := c.do(ops.RMSNorm(x, t.node("norm"), layout, t.params.cfg.NormEps))
	return h, c.err
}

// statesOf is the rows of Hidden that a table chooses, (R, C), computed alone.
func (t *Trunk) statesOf(rows *gorgonia.Node) (*gorgonia.Node, error) {
	var c chain
	x, attended := c.do(ops.Gather(t.residual, rows)), c.do(ops.Gather(t.attended, rows))
	return c.do(t.states(x, attended, rows)), c.err
}

// countedStates is Hidden where Mask is not 0 and exactly 0 elsewhere, (N, C).
func (t *Trunk) countedStates() (*gorgonia.Node, error) {
	if t.counted != nil {
		return t.counted, nil
	}
	var c chain
	rows := c.do(ops.CountedRows(t.in.Mask, t.in.Layout))
	t.counted = c.do(ops.Scatter(c.do(t.statesOf(rows)), rows, t.in.N))
	return t.counted, c.err
}

// Name is the name the trunk was made with.
func (t *Trunk) Name() string { return t.name }

// Params are the weights the trunk was made for.
func (t *Trunk) Params() *Params { return t.params }

// ParamNodes are the nodes of the weights, in the order of Params.All. A loss that uses no head does not depend on the head's nodes, and
// gorgonia.Grad refuses nodes that the loss does not depend on.
func (t *Trunk) ParamNodes() []*gorgonia.Node { return slices.Clone(t.nodes) }

// node is the node of that weight, nil if there is none.
func (t *Trunk) node(name string) *gorgonia.Node {
	if i := slices.Index(t.names, name); i >= 0 {
		return t.nodes[i]
	}
	return nil
}

// layer is the node of a layer's weight.
func (t *Trunk) layer(i int, part string) *gorgonia.Node { return t.node(layerName(i, part)) }

// LogProbs is log p(target | state) of each slot's action at the inputs' temperature: (N), exactly 0 where Mask is 0.
func (t *Trunk) LogProbs() (*gorgonia.Node, error) {
	return t.perAction(&t.logProbs, ops.Vocab(t.in.Vocab).TokenLogProbs)
}

// Entropy is the entropy in nats of each slot's action at the inputs' temperature, over the whole vocabulary: (N), exactly 0 where Mask
// is 0.
func (t *Trunk) Entropy() (*gorgonia.Node, error) {
	return t.perAction(&t.entropy, ops.Vocab(t.in.Vocab).Entropy)
}

// Hits is 1 where the target is the most probable token, (N), 0 elsewhere and where Mask is 0. It has no gradient. The
// result is remembered.
func (t *Trunk) Hits() (*gorgonia.Node, error) {
	return t.perAction(&t.hits, ops.Vocab(t.in.Vocab).TokenHits)
}

// perAction builds an operator on the counted states and the output weights.
func (t *Trunk) perAction(slot **gorgonia.Node, op func(h, w, targets, mask, temp, layout *gorgonia.Node) (*gorgonia.Node, error)) (*gorgonia.Node, error) {
	return t.remember(slot, func() (*gorgonia.Node, error) {
		var c chain
		w, h := c.do(t.output()), c.do(t.countedStates())
		return c.do(op(h, w, t.in.Targets, t.in.Mask, t.in.Temperature, t.in.Layout)), c.err
	})
}

// TokenScores is the scalar head on every slot: (N), exactly 0 in unused slots. It needs all of Hidden; where Mask counts the slots that
// matter, CountedScores costs less.
func (t *Trunk) TokenScores() (*gorgonia.Node, error) {
	return t.remember(&t.tokenScores, func() (*gorgonia.Node, error) {
		return t.head(t.Hidden, t.in.Layout)
	})
}

// CountedScores is the scalar head on the slots that count, as a value function wants it: (N), exactly 0 where Mask is 0.
func (t *Trunk) CountedScores() (*gorgonia.Node, error) {
	return t.remember(&t.countedScores, func() (*gorgonia.Node, error) {
		var c chain
		scores := c.do(t.head(c.do(t.countedStates()), t.in.Layout))
		x := ops.Expr(t.in.G)
		scores = x.Where(t.in.Mask, scores)
		return c.do(scores, x.Err()), c.err
	})
}

// SegmentScores is the scalar head on each segment's last token, as a reward model wants it: (S), exactly 0 for unused segments.
func (t *Trunk) SegmentScores() (*gorgonia.Node, error) {
	return t.remember(&t.segmentScores, func() (*gorgonia.Node, error) {
		var c chain
		rows := c.do(ops.LastRows(t.in.Layout))
		last := c.do(t.statesOf(rows)) // (S, C)
		return c.do(t.head(last, rows)), c.err
	})
}

// head is the scalar head on the rows of h.
func (t *Trunk) head(h, layout *gorgonia.Node) (*gorgonia.Node, error) {
	w, b := t.node(arch.ScoreWeight), t.node(arch.ScoreBias)
	if w == nil || b == nil {
		return nil, errors.New("no scalar head: call Params.AddHead before NewTrunk")
	}
	return ops.ScalarHead(h, w, b, layout)
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
	node, err := guard(build)
	if err != nil {
		return nil, fmt.Errorf("model: trunk %q: %w", t.name, err)
	}
	*slot = node
	return node, nil
}

// guard turns gorgonia's panics into errors.
func guard(build func() (*gorgonia.Node, error)) (_ *gorgonia.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("gorgonia: %v", r)
		}
	}()
	return build()
}

// RotationTable is the table of rotary angles of a model's first positions, (rows, D), see backend.RotationTable.
func RotationTable[T backend.Float](c Config, rows int) []T {
	freqs, scale := c.Frequencies()
	return backend.RotationTable[T](rows, freqs, scale)
}

// addRope finds or makes the table of rotary angles, as long as the longest segment can be.
func (in *Inputs) addRope(cfg Config) int {
	rows := min(in.N, cfg.MaxSeqLen)
	for i, r := range in.ropes {
		if r.theta == cfg.RopeTheta && r.scaling == cfg.Rope && r.rows == rows && r.dim == cfg.HeadDim {
			return i
		}
	}
	var table any = RotationTable[float32](cfg, rows)
	if in.DType == tensor.Float64 {
		table = RotationTable[float64](cfg, rows)
	}
	in.ropes = append(in.ropes, ropeNode{
		theta: cfg.RopeTheta, scaling: cfg.Rope, rows: rows, dim: cfg.HeadDim,
		node:  in.input(fmt.Sprintf("rope/%d", len(in.ropes)), tensor.Shape{rows, cfg.HeadDim}),
		value: tensor.New(tensor.WithShape(rows, cfg.HeadDim), tensor.WithBacking(table)),
	})
	return len(in.ropes) - 1
}
