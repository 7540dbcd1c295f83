package main

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
)

// sampler draws one token at a time, for a dialogue. Package generate samples many answers side by side and has no streaming.
type sampler struct {
	temperature, topP float64
	rng               *rand.Rand
	ids               []int
	p                 []float64
}

func newSampler(temperature, topP float64, seed uint64) *sampler {
	return &sampler{temperature: temperature, topP: topP, rng: rand.New(rand.NewPCG(seed, 0))}
}

// next draws from softmax(logits / temperature), of which the most probable tokens are kept that add up to topP.
func (s *sampler) next(logits []float32) (int32, error) {
	s.ids, s.p = s.ids[:0], s.p[:0]
	for i, z := range logits {
		if math.IsNaN(float64(z)) {
			return 0, errors.New("the logits are not finite: the weights have diverged or are damaged")
		}
		s.ids = append(s.ids, i)
	}
	slices.SortStableFunc(s.ids, func(a, b int) int { return cmp.Compare(logits[b], logits[a]) })
	if s.temperature == 0 {
		return int32(s.ids[0]), nil
	}
	total := 0.0
	for _, i := range s.ids {
		p := math.Exp(float64(logits[i]-logits[s.ids[0]]) / s.temperature)
		s.p = append(s.p, p)
		total += p
	}
	kept, sum := 0, 0.0
	for kept < len(s.p) && sum < s.topP*total {
		sum += s.p[kept]
		kept++
	}
	u := s.rng.Float64() * sum
	for k, p := range s.p[:kept] {
		if u -= p; u < 0 {
			return int32(s.ids[k]), nil
		}
	}
	return int32(s.ids[kept-1]), nil
}
