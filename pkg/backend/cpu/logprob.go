package cpu

import (
	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// vocab is the number of rows of w that have a probability.
func vocab(op backend.Op) int {
	if v, ok := op.Attrs.(backend.Vocab); ok {
		return v.N
	}
	return op.In[1][0]
}

func tokenLogProbs[T kern.Float](c, v int) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		n := used(in[5].I32)
		for _, d := range dst {
			clearFrom[T](d, n)
		}
		kern.TokenLogProbs(data[T](dst[backend.LogProb]), data[T](dst[backend.LogSumExp]), data[T](dst[backend.Entropy]), data[T](dst[backend.Hit]),
			data[T](in[0]), data[T](in[1]), in[2].I32, data[T](in[3]), data[T](in[4])[0], n, c, v)
	}
}

func tokenLogProbsBackward[T kern.Float](c, v int) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		headBackward(dst, in, data[T](in[5]), nil, data[T](in[6]), nil, used(in[7].I32), c, v)
	}
}

func entropyBackward[T kern.Float](c, v int) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		headBackward(dst, in, data[T](in[5]), data[T](in[6]), nil, data[T](in[7]), used(in[8].I32), c, v)
	}
}

func headBackward[T kern.Float](dst, in []backend.Buffer, lse, ent, dlogp, dent []T, n, c, v int) {
	dh, dw := data[T](dst[0]), data[T](dst[1])
	kern.TokenLogProbsBackward(dh, dw, data[T](in[0]), data[T](in[1]), in[2].I32, data[T](in[3]), data[T](in[4])[0],
		lse, ent, dlogp, dent, n, c, v, dst[1].Add)
	clearFrom[T](dst[0], n*c)
	if dw != nil && !dst[1].Add {
		clear(dw[v*c:])
	}
}
