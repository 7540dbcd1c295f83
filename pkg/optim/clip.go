package optim

import (
	"math"
	"slices"
	"strconv"
	"sync"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/parallel"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// clipEps keeps PyTorch's clipping factor finite at a norm of 0.
const clipEps = 1e-6

// sumBlock is the number of elements whose squares one thread adds up. The blocks are counted from the start of a
// tensor, so the order of additions does not depend on the threads.
const sumBlock = 1 << 16

// GlobalNorm is the root of the sum of squares over all elements of all gradients, float32 or float64. The sum is
// taken in float64 and in a fixed order: the same gradients give the same bits. NaN and Inf go through. A nil backend means cpu.Backend.
func GlobalNorm(b backend.Backend, grads []*tensor.Dense) (float64, error) {
	for i, g := range grads {
		if checkTensor("gradient", "", g) != nil { // the name is an allocation
			return 0, checkTensor("gradient", strconv.Itoa(i), g)
		}
	}
	s, ok := squares.Get().(*squareSum)
	if !ok {
		s = newSquareSum()
	}
	defer squares.Put(s)
	s.backend = orCPU(b)
	var sum float64
	for _, g := range grads {
		if g.Dtype() == tensor.Float32 {
			s.f32 = g.Float32s()
		} else {
			s.f64 = g.Float64s()
		}
		sum += s.add()
		s.f32, s.f64 = nil, nil
	}
	return math.Sqrt(sum), nil
}

// squares keeps sums for the next call, so that it allocates nothing.
var squares sync.Pool

// squareSum adds up the squares of one slice, the other being nil, block by block.
type squareSum struct {
	backend backend.Backend
	f32     []float32
	f64     []float64
	parts   []float64
	block   func(lo, hi int) // sets parts[lo:hi]
}

func newSquareSum() *squareSum {
	s := new(squareSum)
	s.block = func(lo, hi int) {
		for b := lo; b < hi; b++ {
			if s.f32 != nil {
				s.parts[b] = s.backend.Float32().SumSquares(blockOf(s.f32, b))
			} else {
				s.parts[b] = s.backend.Float64().SumSquares(blockOf(s.f64, b))
			}
		}
	}
	return s
}

func (s *squareSum) add() float64 {
	blocks := (max(len(s.f32), len(s.f64)) + sumBlock - 1) / sumBlock
	s.parts = slices.Grow(s.parts[:0], blocks)[:blocks]
	parallel.For(blocks, 1, s.block)
	var sum float64
	for _, part := range s.parts {
		sum += part
	}
	return sum
}

func blockOf[T backend.Float](x []T, b int) []T { return x[b*sumBlock : min((b+1)*sumBlock, len(x))] }

// ClipScale is the factor that brings gradients of the given global norm down to max, PyTorch's
// min(1, max/(norm+1e-6)). A max of 0 turns clipping off, so the factor is 1.
func ClipScale(norm, max float64) float64 {
	if max == 0 {
		return 1
	}
	return math.Min(1, max/(norm+clipEps))
}
