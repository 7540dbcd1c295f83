package model

import "fmt"

// CheckFinite names the first weight that holds NaN or Inf, which training that has diverged leaves.
func (p *Params) CheckFinite() error {
	for _, w := range p.All() {
		i, x := firstNonFinite(w.Value.Data())
		if i >= 0 {
			return fmt.Errorf("model: number %d of weight %s is %v: the model is broken, such as by training that has diverged", i, w.Name, x)
		}
	}
	return nil
}

// firstNonFinite is the first NaN or Inf of a weight's numbers, at -1 if there is none.
func firstNonFinite(numbers any) (int, float64) {
	switch numbers := numbers.(type) {
	case []float32:
		return nonFinite(numbers)
	case []float64:
		return nonFinite(numbers)
	}
	return -1, 0
}

func nonFinite[F float32 | float64](numbers []F) (int, float64) {
	for i, x := range numbers {
		if x-x != 0 { // NaN for both
			return i, float64(x)
		}
	}
	return -1, 0
}
