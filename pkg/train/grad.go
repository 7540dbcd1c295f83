package train

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/ops"
)

// Grad builds the gradients of cost, a scalar, with respect to the inputs wrt, as gorgonia.Grad does, with three
// differences: it never panics, it gives nil for an input that cost does not depend on (or only through operators
// without a derivative), and it refuses a graph that was differentiated before, because gorgonia would mix the old
// gradients in. Build a fresh graph for another loss.
func Grad(cost *gorgonia.Node, wrt []*gorgonia.Node) (grads []*gorgonia.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			grads, err = nil, fmt.Errorf("train: differentiating the loss: %v", r)
		}
	}()
	if cost == nil {
		return nil, errors.New("train: the loss is nil")
	}
	if !cost.IsScalar() {
		return nil, fmt.Errorf("train: the loss is %v, want a scalar: sum it up", cost.Shape())
	}
	if cost.Deriv() != nil {
		return nil, errors.New("train: this graph was differentiated before, build the inputs and the loss anew")
	}
	reached := dependsOn(cost)
	grads = make([]*gorgonia.Node, len(wrt))
	var active gorgonia.Nodes
	for i, n := range wrt {
		if n == nil {
			return nil, fmt.Errorf("train: input %d to differentiate by is nil", i)
		}
		if reached[n] {
			active = append(active, n)
		}
	}
	if len(active) == 0 {
		return grads, nil
	}
	nodes, err := gorgonia.Grad(cost, active...)
	if err != nil {
		return nil, fmt.Errorf("train: differentiating the loss: %w", err)
	}
	for i, n := range wrt {
		if reached[n] {
			grads[i], nodes = nodes[0], nodes[1:]
		}
	}
	return grads, nil
}

// dependsOn collects the nodes that cost depends on through operators with a derivative.
func dependsOn(cost *gorgonia.Node) map[*gorgonia.Node]bool {
	reached := map[*gorgonia.Node]bool{cost: true}
	for todo := []*gorgonia.Node{cost}; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		op, ok := n.Op().(gorgonia.SDOp)
		if !ok {
			continue
		}
		operands := ops.Operands(n)
		for i, d := range op.DiffWRT(len(operands)) {
			if c := operands[i]; d && !reached[c] {
				reached[c] = true
				todo = append(todo, c)
			}
		}
	}
	return reached
}
