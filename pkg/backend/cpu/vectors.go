package cpu

import (
	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// Float32 implements backend.Backend.
func (Backend) Float32() backend.Vectors[float32] { return vectors[float32]{} }

// Float64 implements backend.Backend.
func (Backend) Float64() backend.Vectors[float64] { return vectors[float64]{} }

type vectors[T kern.Float] struct{}

// AdamW uses up to GOMAXPROCS goroutines.
func (vectors[T]) AdamW(p, g, m, v []T, s backend.AdamWStep) {
	kern.AdamW(p, g, m, v, T(s.LR), T(s.Beta1), T(s.Beta2), T(s.Eps), T(s.Decay), T(s.Bias1), T(s.Bias2), T(s.GradScale))
}

func (vectors[T]) SumSquares(x []T) float64         { return kern.SumSquares(x) }
func (vectors[T]) Temper(logits []T, temperature T) { kern.Temper(logits, temperature) }
func (vectors[T]) LogSumExp(x []T) T                { return kern.LogSumExp(x) }
func (vectors[T]) Exp(dst, x []T)                   { kern.Exp(dst, x) }
func (vectors[T]) Max(x []T) T                      { return kern.Max(x) }
