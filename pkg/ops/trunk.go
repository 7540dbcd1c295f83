package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
)

// Embed looks up the rows of w, (V, C), for tokens, (N) int32. The result is (N, C).
func Embed(tokens, w, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("embed")
	n := s.ints("tokens", tokens, -1)
	vc := s.float("w", w, -1, -1)
	s.used("layout", layout, -1)
	c := vc[1]
	grad := func(in gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		dw, err := embedBackward(tokens, dout, layout, vc[0])
		return gorgonia.Nodes{nil, dw, nil}, err
	}
	return s.build("embed", 0, 1, tensor.Shape{n[0], c},
		s.pick(embedForward[float32](c), embedForward[float64](c)), []bool{false, true, false}, grad)
}

func embedForward[T kern.Float](c int) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[2].I32)
		out := data[T](dst[0])
		kern.Embed(out, data[T](in[1]), in[0].I32, n, c)
		clearFrom[T](dst[0], n*c)
	}
}

func embedBackward(tokens, dout, layout *gorgonia.Node, v int) (*gorgonia.Node, error) {
	s := newSig("embed backward")
	n := s.ints("tokens", tokens, -1)
	c := s.perRow("dout", dout, n[0], -1)[1]
	s.used("layout", layout, -1)
	return s.buildAdder(fmt.Sprintf("embed backward %d", v), 0, 1, tensor.Shape{v, c},
		s.pick(embedGrad[float32](c, v), embedGrad[float64](c, v)))
}

func embedGrad[T kern.Float](c, v int) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[2].I32)
		kern.EmbedBackward(data[T](dst[0]), data[T](in[1]), in[0].I32, n, c, v, dst[0].Add)
	}
}

// RMSNorm is y = x / sqrt(mean(x^2) + eps) * w over the rows of x, (N, C), with w of (C). Llama 2, section 2.2.
func RMSNorm(x, w, layout *gorgonia.Node, eps float64) (*gorgonia.Node, error) {
	s := newSig("rmsnorm")
	nc := s.perRow("x", x, -1, -1)
	s.float("w", w, nc[1])
	s.used("layout", layout, -1)
	grad := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		return rmsNormBackward(x, w, dout, layout, eps)
	}
	return s.build(fmt.Sprintf("rmsnorm %g", eps), 0, 1, tensor.Shape{nc[0], nc[1]},
		s.pick(rmsNormForward[float32](nc[1], eps), rmsNormForward[float64](nc[1], eps)),
		[]bool{true, true, false}, grad)
}

func rmsNormForward[T kern.Float](c int, eps float64) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[2].I32)
		out := data[T](dst[0])
		kern.RMSNorm(out, data[T](in[0]), data[T](in[1]), n, c, T(eps))
		clearFrom[T](dst[0], n*c)
	}
}

func rmsNormBackward(x, w, dout, layout *gorgonia.Node, eps float64) (gorgonia.Nodes, error) {
	s := newSig("rmsnorm backward")
	nc := s.perRow("x", x, -1, -1)
	n, c := nc[0], nc[1]
	s.float("w", w, c)
	s.perRow("dout", dout, n, c)
	s.used("layout", layout, -1)
	key := fmt.Sprintf("rmsnorm backward %g", eps)
	run := s.pick(rmsNormGrad[float32](c, eps), rmsNormGrad[float64](c, eps))
	dx, err := s.build(key, 0, 2, tensor.Shape{n, c}, run, nil, nil)
	if err != nil {
		return nil, err
	}
	dw, err := s.buildAdder(key, 1, 2, tensor.Shape{c}, run)
	return gorgonia.Nodes{dx, dw, nil}, err
}

func rmsNormGrad[T kern.Float](c int, eps float64) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[3].I32)
		dx, dw := data[T](dst[0]), data[T](dst[1])
		kern.RMSNormBackward(dx, dw, data[T](in[0]), data[T](in[1]), data[T](in[2]), n, c, T(eps), dst[1].Add)
		clearFrom[T](dst[0], n*c)
	}
}

// SwiGLU is silu(gate) * up for gu, (N, 2F), whose rows hold gate and then up. The result is (N, F).
func SwiGLU(gu, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("swiglu")
	nf := s.perRow("gu", gu, -1, -1)
	s.used("layout", layout, -1)
	if s.err == nil && nf[1]%2 != 0 {
		s.err = &ShapeError{Op: "swiglu", Arg: "gu", Want: "(N, 2F)", Got: gu.Shape(), Of: s.dt.String()}
	}
	f := nf[1] / 2
	grad := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		b := newSig("swiglu backward")
		b.perRow("gu", gu, nf[0], nf[1])
		b.perRow("dout", dout, nf[0], f)
		b.used("layout", layout, -1)
		dgu, err := b.build("swiglu backward", 0, 1, tensor.Shape{nf[0], nf[1]},
			b.pick(swigluGrad[float32](f), swigluGrad[float64](f)), nil, nil)
		return gorgonia.Nodes{dgu, nil}, err
	}
	return s.build("swiglu", 0, 1, tensor.Shape{nf[0], f},
		s.pick(swigluForward[float32](f), swigluForward[float64](f)), []bool{true, false}, grad)
}

func swigluForward[T kern.Float](f int) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[1].I32)
		out := data[T](dst[0])
		kern.SwiGLU(out, data[T](in[0]), n, f)
		clearFrom[T](dst[0], n*f)
	}
}

func swigluGrad[T kern.Float](f int) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[2].I32)
		dgu := data[T](dst[0])
		kern.SwiGLUBackward(dgu, data[T](in[0]), data[T](in[1]), n, f)
		clearFrom[T](dst[0], n*2*f)
	}
}

// Add is the residual connection a + b of two (N, C) matrices.
func Add(a, b, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("add")
	nc := s.perRow("a", a, -1, -1)
	s.perRow("b", b, nc[0], nc[1])
	s.used("layout", layout, -1)
	grad := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		return gorgonia.Nodes{dout, dout, nil}, nil
	}
	return s.build("add", 0, 1, tensor.Shape{nc[0], nc[1]},
		s.pick(addForward[float32](nc[1]), addForward[float64](nc[1])), []bool{true, true, false}, grad)
}

func addForward[T kern.Float](c int) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[2].I32)
		out := data[T](dst[0])
		kern.Add(out[:n*c], data[T](in[0])[:n*c], data[T](in[1])[:n*c])
		clearFrom[T](dst[0], n*c)
	}
}
