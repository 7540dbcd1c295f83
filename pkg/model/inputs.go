package model

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// Names of the scalars that inputs have from the start.
const temperatureScalar = "temperature"

// Inputs are the input nodes of a graph over one ragged micro-batch (data.Ragged): N token slots in at most S segments. Trunks and losses
// are built on them. Float nodes have the graph's dtype.
//
// Slot i is the state after token i and its action is token i+1: Targets, Mask and all token columns lie in the slot an action is
// taken from.
type Inputs struct {
	G     *gorgonia.ExprGraph
	DType tensor.Dtype // tensor.Float32 or tensor.Float64
	N, S  int          // budget: token slots, segments

	Tokens      *gorgonia.Node // (N) int32 token ids, 0 in unused slots
	Targets     *gorgonia.Node // (N) int32 the next token of the segment, -1 where there is none
	Layout      *gorgonia.Node // (S+2) int32 used segments, first slot of each, used slots
	Shared      *gorgonia.Node // (S) int32 how many of its root's first tokens a branch continues, 0 for roots
	Segments    *gorgonia.Node // (N) int32 segment of each slot, -1 in unused slots
	Mask        *gorgonia.Node // (N) 1 where the target counts, else 0
	SegMask     *gorgonia.Node // (S) 1 for used segments, else 0
	Temperature *gorgonia.Node // () the logits are divided by it; 1 unless the scalar "temperature" is given

	// Vocab is the number of ids, from 0 on, that log-probabilities, entropies and hits are over: that of the tokenizer,
	// where a vocabulary is padded to more, as Sampling.Vocab of package generate. 0 is all. Set it before they are built.
	Vocab int

	tokenColumns   columns
	segmentColumns columns
	scalars        columns
	ropes          []ropeNode
	trunks         []*Trunk

	err error
}

// columns are named nodes in the order of their creation.
type columns struct {
	names []string
	nodes []*gorgonia.Node
}

func (c *columns) get(name string, build func() *gorgonia.Node) *gorgonia.Node {
	if i := slices.Index(c.names, name); i >= 0 {
		return c.nodes[i]
	}
	c.names = append(c.names, name)
	c.nodes = append(c.nodes, build())
	return c.nodes[len(c.nodes)-1]
}

// ropeNode is a table of rotary angles, shared by the trunks that agree on it.
type ropeNode struct {
	theta     float64
	scaling   arch.RopeScaling
	rows, dim int
	node      *gorgonia.Node // (rows, dim)
	value     *tensor.Dense
}

// NewInputs makes a graph and the inputs of micro-batches of n token slots and s segments. What is wrong with the arguments is told by
// NewTrunk and NewFeed.
func NewInputs(dt tensor.Dtype, n, s int) *Inputs {
	in := &Inputs{G: gorgonia.NewGraph(), DType: dt, N: n, S: s}
	if n < 1 || s < 1 || n > maxSlots || s > n {
		in.err = fmt.Errorf("model: inputs of %d token slots and %d segments, want 1 to %d slots and 1 to as many segments", n, s, maxSlots)
	}
	if err := checkDType(dt); err != nil {
		in.err, in.DType = err, tensor.Float32
	}
	n, s = min(max(n, 1), maxSlots), min(max(s, 1), maxSlots)
	in.Tokens = in.vector("tokens", tensor.Int32, n)
	in.Targets = in.vector("targets", tensor.Int32, n)
	in.Layout = in.vector("layout", tensor.Int32, s+2)
	in.Shared = in.vector("shared", tensor.Int32, s)
	in.Segments = in.vector("segments", tensor.Int32, n)
	in.Mask = in.vector("mask", in.DType, n)
	in.SegMask = in.vector("segmask", in.DType, s)
	in.Temperature = in.Scalar(temperatureScalar)
	return in
}

// maxSlots bounds a micro-batch: slots are counted in int32.
const maxSlots = 1 << 30

// TokenColumn is the node (N) of the batch's token column of that name, made on first demand.
func (in *Inputs) TokenColumn(name string) *gorgonia.Node {
	return in.tokenColumns.get(name, func() *gorgonia.Node { return in.vector("token/"+name, in.DType, in.Mask.Shape()[0]) })
}

// SegmentColumn is the node (S) of the batch's segment column of that name, made on first demand.
func (in *Inputs) SegmentColumn(name string) *gorgonia.Node {
	return in.segmentColumns.get(name, func() *gorgonia.Node { return in.vector("segment/"+name, in.DType, in.SegMask.Shape()[0]) })
}

// Scalar is the node () of the scalar of that name, made on first demand.
func (in *Inputs) Scalar(name string) *gorgonia.Node {
	return in.scalars.get(name, func() *gorgonia.Node {
		return gorgonia.NewScalar(in.G, in.DType, gorgonia.WithName("scalar/"+name))
	})
}

// TokenColumns lists the token columns that were asked for.
func (in *Inputs) TokenColumns() []string { return slices.Clone(in.tokenColumns.names) }

// SegmentColumns lists the segment columns that were asked for.
func (in *Inputs) SegmentColumns() []string { return slices.Clone(in.segmentColumns.names) }

// Scalars lists the scalars that were asked for, "temperature" among them.
func (in *Inputs) Scalars() []string { return slices.Clone(in.scalars.names) }

func (in *Inputs) vector(name string, dt tensor.Dtype, n int) *gorgonia.Node {
	return gorgonia.NewVector(in.G, dt, gorgonia.WithShape(n), gorgonia.WithName(name))
}

// input makes the node of a weight or table.
func (in *Inputs) input(name string, shape tensor.Shape) *gorgonia.Node {
	if len(shape) == 1 {
		return in.vector(name, in.DType, shape[0])
	}
	return gorgonia.NewMatrix(in.G, in.DType, gorgonia.WithShape(shape...), gorgonia.WithName(name))
}

// Has says whether the node is one of these inputs, and not a weight or what a loss has made.
func (in *Inputs) Has(n *gorgonia.Node) bool {
	fixed := []*gorgonia.Node{in.Tokens, in.Targets, in.Layout, in.Shared, in.Segments, in.Mask, in.SegMask}
	return slices.Contains(slices.Concat(fixed, in.tokenColumns.nodes, in.segmentColumns.nodes, in.scalars.nodes), n) ||
		slices.ContainsFunc(in.ropes, func(r ropeNode) bool { return r.node == n })
}
