package cpu

import (
	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// rowWise is a kernel of which f computes the used rows, n, of the first result, (N, c). The last
// operand is the layout.
func rowWise[T kern.Float](c int, f func(dst, in []backend.Buffer, n int)) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		n := used(in[len(in)-1].I32)
		f(dst, in, n)
		clearFrom[T](dst[0], n*c)
	}
}

func embed[T kern.Float](c int) backend.Kernel {
	return rowWise[T](c, func(dst, in []backend.Buffer, n int) {
		kern.Embed(data[T](dst[0]), data[T](in[1]), in[0].I32, n, c)
	})
}

func embedBackward[T kern.Float](c, v int) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		kern.EmbedBackward(data[T](dst[0]), data[T](in[1]), in[0].I32, used(in[2].I32), c, v, dst[0].Add)
	}
}

func rmsNorm[T kern.Float](c int, a backend.RMSNormAttrs) backend.Kernel {
	return rowWise[T](c, func(dst, in []backend.Buffer, n int) {
		kern.RMSNorm(data[T](dst[0]), data[T](in[0]), data[T](in[1]), n, c, T(a.Eps))
	})
}

func rmsNormBackward[T kern.Float](c int, a backend.RMSNormAttrs) backend.Kernel {
	return rowWise[T](c, func(dst, in []backend.Buffer, n int) {
		dx, dw := data[T](dst[0]), data[T](dst[1])
		kern.RMSNormBackward(dx, dw, data[T](in[0]), data[T](in[1]), data[T](in[2]), n, c, T(a.Eps), dst[1].Add)
	})
}

func headNorm[T kern.Float](a backend.HeadNormAttrs) backend.Kernel {
	sh := shapeOf(a.Heads)
	return rowWise[T]((sh.H+2*sh.KV)*sh.D, func(dst, in []backend.Buffer, n int) {
		kern.HeadNorm(data[T](dst[0]), data[T](in[0]), data[T](in[1]), data[T](in[2]), n, sh, T(a.Eps))
	})
}

func headNormBackward[T kern.Float](a backend.HeadNormAttrs) backend.Kernel {
	sh := shapeOf(a.Heads)
	return rowWise[T]((sh.H+2*sh.KV)*sh.D, func(dst, in []backend.Buffer, n int) {
		kern.HeadNormBackward(data[T](dst[0]), data[T](dst[1]), data[T](dst[2]), data[T](in[0]), data[T](in[1]), data[T](in[2]), data[T](in[3]),
			n, sh, T(a.Eps), dst[1].Add, dst[2].Add)
	})
}

// linear is x wᵀ for w of (m, k).
func linear[T kern.Float](m, k int) backend.Kernel {
	return rowWise[T](m, func(dst, in []backend.Buffer, n int) {
		kern.Gemm(false, true, n, m, k, 1, data[T](in[0]), k, data[T](in[1]), k, 0, data[T](dst[0]), m)
	})
}

// dx = dout W
func linearBackwardInput[T kern.Float](m, k int) backend.Kernel {
	return rowWise[T](k, func(dst, in []backend.Buffer, n int) {
		kern.Gemm(false, false, n, k, m, 1, data[T](in[1]), m, data[T](in[0]), k, 0, data[T](dst[0]), k)
	})
}

// dw = doutᵀ x, the sum over tokens in slot order
func linearBackwardWeight[T kern.Float](m, k int) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		n := used(in[2].I32)
		var beta T
		if dst[0].Add {
			beta = 1
		}
		kern.Gemm(true, false, m, k, n, 1, data[T](in[1]), m, data[T](in[0]), k, beta, data[T](dst[0]), k)
	}
}

func swiglu[T kern.Float](f int) backend.Kernel {
	return rowWise[T](f, func(dst, in []backend.Buffer, n int) {
		kern.SwiGLU(data[T](dst[0]), data[T](in[0]), n, f)
	})
}

func swigluBackward[T kern.Float](f int) backend.Kernel {
	return rowWise[T](2*f, func(dst, in []backend.Buffer, n int) {
		kern.SwiGLUBackward(data[T](dst[0]), data[T](in[0]), data[T](in[1]), n, f)
	})
}

func add[T kern.Float](c int) backend.Kernel {
	return rowWise[T](c, func(dst, in []backend.Buffer, n int) {
		kern.Add(data[T](dst[0])[:n*c], data[T](in[0])[:n*c], data[T](in[1])[:n*c])
	})
}

func bias[T kern.Float](c int) backend.Kernel {
	return rowWise[T](c, func(dst, in []backend.Buffer, n int) {
		for r := range n {
			kern.Add(data[T](dst[0])[r*c:][:c], data[T](in[0])[r*c:][:c], data[T](in[1]))
		}
	})
}

// db is the sum of the rows of dout, in slot order
func biasBackward[T kern.Float](c int) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		db := data[T](dst[0])
		if !dst[0].Add {
			clear(db)
		}
		for r := range used(in[1].I32) {
			kern.AddTo(db, data[T](in[0])[r*c:][:c])
		}
	}
}

// gradientSum adds two values whose unused rows are added too, whatever they hold.
func gradientSum[T kern.Float](dst, in []backend.Buffer) {
	kern.Add(data[T](dst[0]), data[T](in[0]), data[T](in[1]))
}

func copyOrAdd[T kern.Float](dst, in []backend.Buffer) {
	if dst[0].Add {
		kern.AddTo(data[T](dst[0]), data[T](in[0]))
		return
	}
	copy(data[T](dst[0]), data[T](in[0]))
}

func attention[T kern.Float](sh kern.AttnShape) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		n := used(in[2].I32)
		kern.Attention(data[T](dst[0]), data[T](dst[1]), data[T](in[0]), data[T](in[1]), in[2].I32, in[3].I32, sh)
		clearFrom[T](dst[0], n*sh.H*sh.D)
		clearFrom[T](dst[1], n*sh.H)
	}
}

func attentionBackward[T kern.Float](sh kern.AttnShape) backend.Kernel {
	width := (sh.H + 2*sh.KV) * sh.D
	return func(dst, in []backend.Buffer) {
		n := used(in[5].I32)
		kern.AttentionBackward(data[T](dst[0]), data[T](in[0]), data[T](in[1]), data[T](in[2]), data[T](in[3]), data[T](in[4]), in[5].I32, in[6].I32, sh)
		clearFrom[T](dst[0], n*width)
	}
}
