package optim

import (
	"errors"
	"fmt"
	"math"
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
	return errors.Join(checkRate("Constant.Peak", c.Peak), checkSteps("Constant.Warmup", c.Warmup))
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
	errs := []error{
		checkRate("Cosine.Peak", c.Peak),
		checkRate("Cosine.Min", c.Min),
		checkSteps("Cosine.Warmup", c.Warmup),
	}
	if c.Min > c.Peak {
		errs = append(errs, fmt.Errorf("optim: Cosine.Min is %g, want at most Peak, %g", c.Min, c.Peak))
	}
	if c.Total <= 0 || c.Total < c.Warmup {
		errs = append(errs, fmt.Errorf("optim: Cosine.Total is %d, want at least 1 and at least Warmup, %d", c.Total, c.Warmup))
	}
	return errors.Join(errs...)
}

// warm is the share of the peak that a step has.
func warm(step, warmup int) float64 {
	if step >= warmup {
		return 1
	}
	return float64(step+1) / float64(warmup)
}

func checkRate(field string, x float64) error {
	if x >= 0 && !math.IsInf(x, 1) {
		return nil
	}
	return fmt.Errorf("optim: %s is %g, want a number of at least 0", field, x)
}

func checkSteps(field string, n int) error {
	if n >= 0 {
		return nil
	}
	return fmt.Errorf("optim: %s is %d, want at least 0", field, n)
}
