package optim

import (
	"fmt"
	"math"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
)

// clipEps keeps PyTorch's clipping factor finite at a norm of 0.
const clipEps = 1e-6

// sumBlock is the number of elements whose squares one thread adds up. The blocks are counted from the start of a
// tensor, so the order of additions does not depend on the threads.
const sumBlock = 1 << 16

// GlobalNorm is the root of the sum of squares over all elements of all gradients, float32 or float64. The sum is
// taken in float64 and in a fixed order: the same gradients give the same bits. NaN and Inf go through.
func GlobalNorm(grads []*tensor.Dense) (float64, error) {
	var sum float64
	for i, g := range grads {
		if err := checkTensor("gradient", fmt.Sprint(i), g); err != nil {
			return 0, err
		}
		switch x := g.Data().(type) {
		case []float32:
			sum += sumSquares(x)
		case []float64:
			sum += sumSquares(x)
		}
	}
	return math.Sqrt(sum), nil
}

// sumSquares adds up the squares of x block by block.
func sumSquares[T kern.Float](x []T) float64 {
	parts := make([]float64, (len(x)+sumBlock-1)/sumBlock)
	kern.For(len(parts), 1, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			parts[b] = kern.SumSquares(x[b*sumBlock : min((b+1)*sumBlock, len(x))])
		}
	})
	var sum float64
	for _, part := range parts {
		sum += part
	}
	return sum
}

// ClipScale is the factor that brings gradients of the given global norm down to max, PyTorch's
// min(1, max/(norm+1e-6)). A max of 0 turns clipping off, so the factor is 1.
func ClipScale(norm, max float64) float64 {
	if max == 0 {
		return 1
	}
	return math.Min(1, max/(norm+clipEps))
}
