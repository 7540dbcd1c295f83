package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
)

// Linear is y = x Wᵀ for x of (N, K) and w of (M, K), weights stored [out, in]. The result is (N, M).
func Linear(x, w, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("linear")
	nk := s.perRow("x", x, -1, -1)
	mk := s.float("w", w, -1, nk[1])
	s.used("layout", layout, -1)
	n, k, m := nk[0], nk[1], mk[0]
	grad := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := linearBackwardInput(w, dout, layout)
		if err != nil {
			return nil, err
		}
		dw, err := linearBackwardWeight(x, dout, layout)
		return gorgonia.Nodes{dx, dw, nil}, err
	}
	return s.build("linear", 0, 1, tensor.Shape{n, m},
		s.pick(linearForward[float32](m, k), linearForward[float64](m, k)), []bool{true, true, false}, grad)
}

func linearForward[T kern.Float](m, k int) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[2].I32)
		out := data[T](dst[0])
		kern.Gemm(false, true, n, m, k, 1, data[T](in[0]), k, data[T](in[1]), k, 0, out, m)
		clearFrom[T](dst[0], n*m)
	}
}

// dx = dout W
func linearBackwardInput(w, dout, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("linear backward dx")
	mk := s.float("w", w, -1, -1)
	m, k := mk[0], mk[1]
	n := s.perRow("dout", dout, -1, m)[0]
	s.used("layout", layout, -1)
	return s.build("linear backward dx", 0, 1, tensor.Shape{n, k},
		s.pick(linearGradInput[float32](m, k), linearGradInput[float64](m, k)), nil, nil)
}

func linearGradInput[T kern.Float](m, k int) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[2].I32)
		dx := data[T](dst[0])
		kern.Gemm(false, false, n, k, m, 1, data[T](in[1]), m, data[T](in[0]), k, 0, dx, k)
		clearFrom[T](dst[0], n*k)
	}
}

// dw = doutᵀ x, the sum over tokens in slot order
func linearBackwardWeight(x, dout, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("linear backward dw")
	nk := s.perRow("x", x, -1, -1)
	n, k := nk[0], nk[1]
	m := s.perRow("dout", dout, n, -1)[1]
	s.used("layout", layout, -1)
	return s.buildAdder("linear backward dw", 0, 1, tensor.Shape{m, k},
		s.pick(linearGradWeight[float32](m, k), linearGradWeight[float64](m, k)))
}

func linearGradWeight[T kern.Float](m, k int) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[2].I32)
		var beta T
		if dst[0].Add {
			beta = 1
		}
		kern.Gemm(true, false, m, k, n, 1, data[T](in[1]), m, data[T](in[0]), k, beta, data[T](dst[0]), k)
	}
}
