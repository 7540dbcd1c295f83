package exec

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/ops"
)

// NonFiniteError names the operator whose result was the first to hold a NaN or an Inf.
type NonFiniteError struct {
	Op    string  // the operator
	Node  string  // the operator with its operands, such as "linear(swiglu, policy/layers.3.down, layout)"
	Index int     // position in the result
	Value float64 // NaN or Inf
}

// Error implements error.
func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("exec: operator %q in %s gives %v at position %d", e.Op, e.Node, e.Value, e.Index)
}

// checkFinite looks for NaN and Inf in what the step computed.
func (st *step) checkFinite() error {
	for _, s := range st.out {
		if s == nil {
			continue
		}
		for i, v := range s.buf.F32 {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return &NonFiniteError{Op: shortName(s.node), Node: describe(s.node), Index: i, Value: f}
			}
		}
		for i, f := range s.buf.F64 {
			if math.IsNaN(f) || math.IsInf(f, 0) {
				return &NonFiniteError{Op: shortName(s.node), Node: describe(s.node), Index: i, Value: f}
			}
		}
	}
	return nil
}

// describe names an operator and its operands: inputs by their names, which tell a weight and its layer, others by their
// operators.
func describe(n *gorgonia.Node) string {
	var operands []string
	for _, k := range ops.Operands(n) {
		name := k.Name()
		if k.Op() != nil && len(ops.Operands(k)) > 0 {
			name = shortName(k)
		}
		operands = append(operands, name)
	}
	return fmt.Sprintf("%s(%s)", shortName(n), strings.Join(operands, ", "))
}

// shortName is the operator's name without its attributes.
func shortName(n *gorgonia.Node) string {
	if op, ours := n.Op().(*ops.Operator); ours {
		return string(op.Op.Kind)
	}
	words := slices.DeleteFunc(strings.Fields(n.Op().String()), func(word string) bool {
		_, err := strconv.ParseFloat(word, 64)
		return err == nil
	})
	return strings.Join(words, " ")
}
