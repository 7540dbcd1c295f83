package losstest

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/tame-rlhf/tame/pkg/train"
)

// TB is the part of testing.TB that the checks need.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}

const (
	// gradStep is the step of the differences, for numbers of about 1; larger ones take a step in proportion.
	gradStep = 1e-5
	// gradTol is the largest error that passes, as a share of the largest difference quotient of the column.
	gradTol = 1e-6
	// maxShown is the number of entries that a failure lists.
	maxShown = 5
)

// CheckGrad compares the loss's gradient by every column in Case.Wrt with central differences, entry by entry, in
// float64. Where the loss has a kink (the edge of a clipping range, a tie of Min or Max) the differences to the left and
// to the right disagree: such points are logged and left out. A column of which nothing is left fails.
//
// Entries are compared with a tolerance of 1e-6 of the largest entry of their column.
func CheckGrad[In any](t TB, loss func(In) (train.Terms, error), c Case) {
	t.Helper()
	if err := checkGrad(t, loss, c); err != nil {
		t.Errorf("%v", err)
	}
}

// checkGrad tells t what it compared; an error is one of the case or the loss.
func checkGrad[In any](t TB, loss func(In) (train.Terms, error), c Case) error {
	t.Helper()
	c.Float32 = false
	if len(c.Wrt) == 0 {
		return errors.New("losstest: CheckGrad: Case.Wrt is empty, name the columns that the loss is differentiated by")
	}
	e, err := build(loss, c)
	if err != nil {
		return err
	}
	at, err := e.run(c)
	if err != nil {
		return err
	}
	if math.IsNaN(at.Loss) || math.IsInf(at.Loss, 0) {
		return fmt.Errorf("losstest: CheckGrad: the loss is %v", at.Loss)
	}
	for _, name := range c.Wrt {
		slopes, err := e.slopes(c, name, at.Loss)
		if err != nil {
			return err
		}
		compare(t, name, at.Grads[name], slopes)
	}
	return nil
}

// slope is the numeric derivative at one entry.
type slope struct {
	value float64 // central difference
	bend  float64 // how far the point is from being smooth, in units of value; see slopes
	noise float64 // rounding error of value
}

// slopes takes the differences of one column. With d(h) the right difference minus the left one, d(h) - 2 d(h/2) is of
// order h^3 where the loss is smooth, and of the order of the jump of the slope where a kink is closer than h.
func (e *evaluator) slopes(c Case, name string, loss float64) ([]slope, error) {
	var err error
	var data []float64
	c = c.clone()
	for _, col := range c.columns() {
		if col.name == name {
			data = col.data
		}
	}
	eval := func() float64 {
		r, e := e.run(c)
		if err == nil {
			err = e
		}
		return r.Loss
	}
	slopes := make([]slope, len(data))
	for i, x := range data {
		h := gradStep * math.Max(1, math.Abs(x))
		diff := func(h float64) (central, d float64) {
			data[i] = x + h
			up := eval()
			data[i] = x - h
			down := eval()
			data[i] = x
			return (up - down) / (2 * h), (up - 2*loss + down) / h
		}
		_, wide := diff(h)
		central, narrow := diff(h / 2)
		slopes[i] = slope{
			value: central,
			bend:  math.Abs(wide - 2*narrow),
			noise: 32 * 0x1p-52 * math.Abs(loss) / h,
		}
		if err != nil {
			return nil, err
		}
	}
	return slopes, nil
}

// compare reports where the gradient and the slopes disagree.
func compare(t TB, name string, grad []float64, slopes []slope) {
	t.Helper()
	var largest float64
	for _, s := range slopes {
		largest = math.Max(largest, math.Abs(s.value))
	}
	var wrong, skipped []string
	for i, s := range slopes {
		tol := gradTol*largest + s.noise
		off := math.Abs(grad[i] - s.value)
		switch {
		case off <= tol:
		case s.bend > tol:
			skipped = append(skipped, fmt.Sprintf("%s[%d]", name, i))
		default: // NaN comes here too
			wrong = append(wrong, fmt.Sprintf("%s[%d]: gradient %.9g, differences %.9g", name, i, grad[i], s.value))
		}
	}
	if len(skipped) > 0 {
		t.Logf("losstest: CheckGrad: kinks at %s: not compared", list(skipped))
	}
	if len(wrong) > 0 {
		t.Errorf("losstest: CheckGrad: %d of %d entries are wrong: %s", len(wrong), len(slopes), list(wrong))
	}
	if len(skipped) == len(slopes) {
		t.Errorf("losstest: CheckGrad: every entry of %s is at a kink, nothing was compared", name)
	}
}

// list joins the first entries.
func list(entries []string) string {
	if len(entries) > maxShown {
		return fmt.Sprintf("%s ... and %d more", strings.Join(entries[:maxShown], "; "), len(entries)-maxShown)
	}
	return strings.Join(entries, "; ")
}
