package optim

import (
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/setting"
)

// Schedule gives the learning rate of every step. One that also has a method Validate() error is asked before training.
type Schedule interface {
	// LR is the learning rate of a step, counted from 0.
	LR(step int) float64
}

var (
	_ Schedule = Constant{}
	_ Schedule = Cosine{}
)

// Constant warms up linearly and stays (paper 3.2.3: PPO at 1e-6).
type Constant struct {
	// Peak is the learning rate after the warm-up.
	Peak float64
	// Warmup is the number of steps of the warm-up: step s of it has the rate Peak*(s+1)/Warmup. 0 means none.
	Warmup int
}

// LR is the learning rate of a step, counted from 0.
func (c Constant) LR(step int) float64 {
	return c.Peak * warm(step, c.Warmup)
}

// Validate reports every setting that makes no sense.
func (c Constant) Validate() error {
	check := setting.NewChecks("optim: Constant")
	check.NotNegative("Peak", c.Peak)
	check.AtLeast("Warmup", c.Warmup, 0)
	return check.Err()
}

// Cosine warms up linearly and falls along half a cosine (paper 2.2: 2000 steps of warm-up, down to 10 % of the peak).
type Cosine struct {
	// Peak is the learning rate at the end of the warm-up.
	Peak float64
	// Min is the learning rate at step Total and after it. Paper: a tenth of Peak.
	Min float64
	// Warmup is the number of steps of the warm-up: step s of it has the rate Peak*(s+1)/Warmup. 0 means none.
	Warmup int
	// Total is the step at which the rate reaches Min; the warm-up counts.
	Total int
}

// LR is the learning rate of a step, counted from 0. Step Warmup has the full peak, step Total would have Min.
func (c Cosine) LR(step int) float64 {
	switch {
	case step < c.Warmup:
		return c.Peak * warm(step, c.Warmup)
	case step >= c.Total:
		return c.Min
	}
	done := float64(step-c.Warmup) / float64(c.Total-c.Warmup)
	return c.Min + (c.Peak-c.Min)*0.5*(1+math.Cos(math.Pi*done))
}

// Validate reports every setting that makes no sense.
func (c Cosine) Validate() error {
	check := setting.NewChecks("optim: Cosine")
	check.NotNegative("Peak", c.Peak)
	check.NotNegative("Min", c.Min)
	check.AtLeast("Warmup", c.Warmup, 0)
	check.That(!(c.Min > c.Peak), "Min", c.Min, fmt.Sprintf("at most Peak, %g", c.Peak))
	check.That(c.Total > 0 && c.Total >= c.Warmup, "Total", c.Total, fmt.Sprintf("at least 1 and at least Warmup, %d", c.Warmup))
	return check.Err()
}

// warm is the share of the peak that a step has.
func warm(step, warmup int) float64 {
	if step >= warmup {
		return 1
	}
	return float64(step+1) / float64(warmup)
}
