package losstest_test

import (
	"fmt"
	"math/rand/v2"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/losstest"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

// printer stands in for the *testing.T of a test.
type printer struct{}

func (printer) Helper()                           {}
func (printer) Logf(format string, args ...any)   { fmt.Printf(format+"\n", args...) }
func (printer) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

var t printer

// sftInputs is what the losses of the examples read.
type sftInputs struct {
	LogProbs *gorgonia.Node // (N) log-probability of the target
	Entropy  *gorgonia.Node // (N) of the distribution
	Hits     *gorgonia.Node // (N) 1 where the next token is the most probable one
	Mask     *gorgonia.Node // (N) 1 where it counts
	Tokens   *gorgonia.Node // () counted tokens of the whole batch
}

// nll is the mean negative log-likelihood of the counted tokens.
func nll(in sftInputs) (train.Terms, error) {
	x := ops.Expr(in.LogProbs.Graph())
	return train.Terms{Loss: x.Neg(x.MaskedMean(in.LogProbs, in.Mask, in.Tokens))}, x.Err()
}

// timesMask multiplies by the mask, which keeps NaN.
func timesMask(in sftInputs) (train.Terms, error) {
	x := ops.Expr(in.LogProbs.Graph())
	return train.Terms{Loss: x.Div(x.Sum(x.Mul(in.LogProbs, in.Mask)), in.Tokens)}, x.Err()
}

// ownMean divides by the count of its own micro-batch.
func ownMean(in sftInputs) (train.Terms, error) {
	x := ops.Expr(in.LogProbs.Graph())
	return train.Terms{Loss: x.Div(x.MaskedSum(in.LogProbs, in.Mask), x.Sum(in.Mask))}, x.Err()
}

// twoSegments is a batch of three counted tokens.
func twoSegments() losstest.Case {
	return losstest.Case{
		Segments: []int32{0, 0, 0, 1, 1},
		Token:    map[string][]float64{"LogProbs": {-1, -2, 0, -6, 0}, "Mask": {1, 1, 0, 1, 0}},
		Wrt:      []string{"LogProbs"},
	}
}

func ExampleEval() {
	got, err := losstest.Eval(nll, twoSegments())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("loss %.2f, gradient %.2f\n", got.Loss, got.Grads["LogProbs"])
	// Output: loss 3.00, gradient [-0.33 -0.33 0.00 -0.33 0.00]
}

func ExampleCheckGrad() {
	x2 := func(in sftInputs) (train.Terms, error) { // x² with half of its gradient
		x := ops.Expr(in.LogProbs.Graph())
		return train.Terms{Loss: x.MaskedSum(x.Mul(x.Detach(in.LogProbs), in.LogProbs), in.Mask)}, x.Err()
	}
	losstest.CheckGrad(t, nll, twoSegments()) // says nothing: correct
	c := losstest.Case{Segments: []int32{0}, Token: map[string][]float64{"LogProbs": {-2}, "Mask": {1}}, Wrt: []string{"LogProbs"}}
	losstest.CheckGrad(t, x2, c)
	// Output: losstest: CheckGrad: 1 of 1 entries are wrong: LogProbs[0]: gradient -2, differences -4
}

func ExampleCheckMask() {
	losstest.CheckMask(t, nll, twoSegments()) // says nothing: correct
	losstest.CheckMask(t, timesMask, twoSegments())
	// Output: losstest: CheckMask: NaN where nothing counts leaks through LogProbs: the loss is NaN instead of -3
}

func ExampleCheckSplit() {
	losstest.CheckSplit(t, nll, twoSegments()) // says nothing: correct
	losstest.CheckSplit(t, ownMean, twoSegments())
	// Output: losstest: CheckSplit: every group alone: the loss is -7.5, in one batch -3: divide by Tokens or Seqs, the counts of the whole batch
}

func ExampleRandomSFT() {
	c := losstest.RandomSFT(rand.New(rand.NewPCG(1, 2)), 3, 6)
	losstest.CheckGrad(t, nll, c)
	losstest.CheckMask(t, nll, c)
	losstest.CheckSplit(t, nll, c)
	fmt.Println(c.Segments)
	// Output: [0 0 0 0 0 1 1 1 1 1 2 2 2 -1 -1 -1]
}
