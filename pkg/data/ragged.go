package data

import (
	"errors"
	"fmt"
)

// ErrFull says that a micro-batch has no room for another segment. Ask Fits first, or pack with Pack.
var ErrFull = errors.New("data: micro-batch is full")

// ErrTooLong says that a sequence is longer than a micro-batch's budget. Sequences are never cut: drop it, shorten its
// text, or raise the budget. The error itself is a *TooLongError.
var ErrTooLong = errors.New("data: sequence is longer than the budget")

// TooLongError names the sequence that does not fit. errors.Is(err, ErrTooLong) holds for it.
type TooLongError struct {
	Index  int // index of the sequence (of the group, in PackGroups and Batches), -1 if there is only one
	Length int // its length, in Unit
	Budget int // what there is room for, in Unit
	Unit   string
}

func (e *TooLongError) Error() string {
	which := "sequence"
	if e.Index >= 0 {
		which = fmt.Sprintf("sequence %d", e.Index)
	}
	return fmt.Sprintf("data: %s has %d %s, the budget of a micro-batch is %d: leave it out or raise the budget",
		which, e.Length, e.Unit, e.Budget)
}

// Is makes errors.Is(err, ErrTooLong) true.
func (e *TooLongError) Is(target error) bool { return target == ErrTooLong }

// Ragged is a micro-batch without padding: N token slots in one row, cut into at most S segments (sequences) that lie
// one after the other from slot 0. Slot i is the state after token i, and its action is token i+1: that is the slot's
// target. Everything that belongs to an action (mask, log-probability, advantage, value) lies in the slot it is taken
// from, so the last slot of a segment never counts.
//
// A segment is a root, a sequence of its own, or a branch, which continues the first tokens of the last root before it, so
// that these are there once: the prompt of several answers. Attention sees them and positions go on behind them, so the
// states of a branch have the bits that they have in the whole sequence.
//
// Legend: N slots and S segments are the budget, n and s what is used. Read the fields freely; write only into columns.
type Ragged struct {
	N, S int // budget

	Tokens   []int32   // (N) token ids, 0 in unused slots
	Targets  []int32   // (N) the next token of the same segment, -1 in its last slot and in unused slots
	Layout   []int32   // (S+2) s, then the first slot of each segment, then n in all that is left
	Shared   []int32   // (S) how many of its root's first tokens a branch continues; 0 for roots and unused segments
	Segments []int32   // (N) segment of each slot, -1 in unused slots
	Mask     []float32 // (N) 1 where the target is counted, else 0

	TokenColumns   map[string][]float32 // (N) each, aligned as Mask, 0 in unused slots; see TokenColumn, WeightColumn
	SegmentColumns map[string][]float32 // (S) each, 0 for unused segments; see SegmentColumn
}

// NewRagged returns an empty micro-batch with room for n tokens in s segments.
func NewRagged(n, s int) *Ragged {
	r := &Ragged{
		N: n, S: s,
		Tokens:         make([]int32, n),
		Targets:        make([]int32, n),
		Layout:         make([]int32, s+2),
		Shared:         make([]int32, s),
		Segments:       make([]int32, n),
		Mask:           make([]float32, n),
		TokenColumns:   map[string][]float32{WeightColumn: make([]float32, n)},
		SegmentColumns: map[string][]float32{},
	}
	r.Reset()
	return r
}

// Reset empties the micro-batch for reuse. Columns stay, filled with zeros.
func (r *Ragged) Reset() {
	clear(r.Tokens)
	clear(r.Layout)
	clear(r.Shared)
	clear(r.Mask)
	for i := range r.Targets {
		r.Targets[i], r.Segments[i] = -1, -1
	}
	for _, column := range r.TokenColumns {
		clear(column)
	}
	for _, column := range r.SegmentColumns {
		clear(column)
	}
}

// Used returns the number of used slots and segments.
func (r *Ragged) Used() (n, s int) { return int(r.Layout[r.S+1]), int(r.Layout[0]) }

// Fits reports whether a segment of that many tokens still has room.
func (r *Ragged) Fits(tokens int) bool {
	n, s := r.Used()
	return s < r.S && tokens <= r.N-n
}

// Append adds a sequence as the next segment, a root, and returns the segment's index. counted is aligned with tokens:
// counted[i] says that token i, predicted from the tokens before it, counts; counted[0] is ignored because nothing
// predicts the first token. A nil counted counts nothing. Both are copied.
func (r *Ragged) Append(tokens []int32, counted []bool) (seg int, err error) {
	return r.append(0, tokens, counted)
}

// AppendBranch adds a sequence that begins with the first shared tokens of the last root; tokens are what follows these.
// counted is as in Append, and counted[0] is ignored: a branch's first token is predicted in a slot of the root, which has
// the root's own next token as its target. So a branch gives scores and values of the whole sequence, and
// log-probabilities of its tokens but the first.
func (r *Ragged) AppendBranch(shared int, tokens []int32, counted []bool) (seg int, err error) {
	_, root := r.Used()
	for root--; root >= 0 && r.Shared[root] > 0; {
		root--
	}
	if root < 0 {
		return 0, errors.New("data: append branch: there is no segment to continue: append its root first")
	}
	if lo, hi := r.Span(root); shared < 1 || shared > hi-lo {
		return 0, fmt.Errorf("data: append branch: %d shared tokens, want 1 to the %d of the root", shared, hi-lo)
	}
	return r.append(shared, tokens, counted)
}

func (r *Ragged) append(shared int, tokens []int32, counted []bool) (seg int, err error) {
	switch {
	case len(tokens) == 0:
		return 0, errors.New("data: append: a segment needs at least one token")
	case counted != nil && len(counted) != len(tokens):
		return 0, fmt.Errorf("data: append: %d counted flags for %d tokens", len(counted), len(tokens))
	case len(tokens) > r.N:
		return 0, &TooLongError{Index: -1, Length: len(tokens), Budget: r.N, Unit: "tokens"}
	case !r.Fits(len(tokens)):
		n, s := r.Used()
		return 0, fmt.Errorf("%w: %d tokens do not fit into %d of %d slots, segment %d of %d",
			ErrFull, len(tokens), r.N-n, r.N, s+1, r.S)
	}
	for i, id := range tokens {
		if id < 0 {
			return 0, fmt.Errorf("data: append: token %d is %d: ids are not negative", i, id)
		}
	}
	n, s := r.Used()
	weights := r.TokenColumn(WeightColumn)
	for i, id := range tokens {
		slot := n + i
		r.Tokens[slot], r.Segments[slot] = id, int32(s)
		if i == 0 {
			continue
		}
		r.Targets[slot-1] = id
		if counted != nil && counted[i] {
			r.Mask[slot-1], weights[slot-1] = 1, 1
		}
	}
	r.Layout[0], r.Shared[s] = int32(s+1), int32(shared)
	end := int32(n + len(tokens))
	for i := s + 1; i <= r.S; i++ {
		r.Layout[1+i] = end
	}
	return s, nil
}

// AppendExample adds an example as the next segment, a root: a token counts if its weight is not 0.
func (r *Ragged) AppendExample(e Example) (seg int, err error) {
	if len(e.Weights) != len(e.Tokens) {
		return 0, fmt.Errorf("data: append: %d weights for %d tokens", len(e.Weights), len(e.Tokens))
	}
	if seg, err = r.Append(e.Tokens, e.Counted()); err != nil {
		return 0, err
	}
	lo, hi := r.Span(seg)
	copy(r.TokenColumn(WeightColumn)[lo:hi-1], e.Weights[1:])
	return seg, nil
}

// WeightColumn names the token column of the weights of the targets: those of AppendExample, 1 for
// what counts of other segments, else 0.
const WeightColumn = "weight"

// Weight is the sum of the weights of the targets, as many as Counted if each has weight 1.
func (r *Ragged) Weight() float64 {
	sum := 0.0
	for _, w := range r.TokenColumns[WeightColumn] {
		sum += float64(w)
	}
	return sum
}

// Span returns the slots [lo, hi) of a used segment, those of its own tokens.
func (r *Ragged) Span(seg int) (lo, hi int) { return int(r.Layout[1+seg]), int(r.Layout[2+seg]) }

// Counted returns the number of counted targets.
func (r *Ragged) Counted() int {
	count := 0
	for _, m := range r.Mask {
		if m != 0 {
			count++
		}
	}
	return count
}

// TokenColumn returns the column of that name, (N) and aligned as Mask: what belongs to the action "token i+1" goes
// into slot i. It is created with zeros on first use. Leave unused slots 0.
func (r *Ragged) TokenColumn(name string) []float32 { return zeros(r.TokenColumns, name, r.N) }

// SegmentColumn returns the column of that name, (S), created with zeros on first use.
func (r *Ragged) SegmentColumn(name string) []float32 { return zeros(r.SegmentColumns, name, r.S) }

func zeros(columns map[string][]float32, name string, length int) []float32 {
	c, ok := columns[name]
	if !ok {
		c = make([]float32, length)
		columns[name] = c
	}
	return c
}
