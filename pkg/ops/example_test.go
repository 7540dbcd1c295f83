package ops_test

import (
	"context"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// A clipped policy objective over three tokens, of which the mask counts two, and its gradient.
func ExampleExpr() {
	g := gorgonia.NewGraph()
	vector := func(name string) *gorgonia.Node {
		return gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(3), gorgonia.WithName(name))
	}
	logProbs, oldLogProbs, advantages, mask := vector("logprobs"), vector("old"), vector("advantages"), vector("mask")

	x := ops.Expr(g)
	ratio := x.Exp(x.Sub(logProbs, oldLogProbs))
	obj := x.Min(x.Mul(ratio, advantages), x.Mul(x.Clamp(ratio, 0.8, 1.2), advantages))
	loss := x.Neg(x.MaskedMean(obj, mask, x.Const(2, obj)))
	if err := x.Err(); err != nil {
		fmt.Println(err)
		return
	}
	grads, err := gorgonia.Grad(loss, logProbs)
	if err != nil {
		fmt.Println(err)
		return
	}
	prog, err := exec.Compile(append(grads, loss), exec.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	bind := func(n *gorgonia.Node, values ...float64) {
		if err := prog.Bind(n, tensor.New(tensor.WithBacking(values))); err != nil {
			fmt.Println(err)
		}
	}
	bind(logProbs, -1, -1, -1)
	bind(oldLogProbs, -1, -2, -1) // the second token became e times as likely: clipped
	bind(advantages, 1, 1, 1)
	bind(mask, 1, 1, 0)
	if err := prog.Run(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	l, _ := prog.Value(loss)
	d, _ := prog.Value(grads[0])
	fmt.Printf("loss %.2f\ngradient %.2f\n", l, d)
	// Output:
	// loss -1.10
	// gradient [-0.50   0.00   0.00]
}
