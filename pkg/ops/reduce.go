package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
)

// sum adds up x where mask is not 0, or everywhere without a mask; in float64 and in slot order.
func sum(x, mask *gorgonia.Node) (*gorgonia.Node, error) {
	operands := []*gorgonia.Node{x}
	name := "sum"
	if mask != nil {
		operands = append(operands, mask)
		name = "masked sum"
	}
	s, err := elementwise(name, operands...)
	if err != nil {
		return nil, err
	}
	grad := func(_ gorgonia.Nodes, _, dsum *gorgonia.Node) (gorgonia.Nodes, error) {
		g, err := elementwise(name+" backward", operands...)
		if err != nil {
			return nil, err
		}
		g.float("dsum", dsum)
		dx, err := g.build(name+" backward", 0, 1, x.Shape(),
			g.pick(sumGrad[float32](mask != nil), sumGrad[float64](mask != nil)), nil, nil)
		grads := make(gorgonia.Nodes, len(operands))
		grads[0] = dx
		return grads, err
	}
	diff := make([]bool, len(operands))
	diff[0] = true
	return s.build(name, 0, 1, tensor.ScalarShape(),
		s.pick(sumForward[float32](mask != nil), sumForward[float64](mask != nil)), diff, grad)
}

func sumForward[T kern.Float](masked bool) kernel {
	return func(dst, in []Buffer) {
		var mask []T
		if masked {
			mask = data[T](in[1])
		}
		total := 0.0
		for i, v := range data[T](in[0]) {
			if mask == nil || mask[i] != 0 {
				total += float64(v)
			}
		}
		data[T](dst[0])[0] = T(total)
	}
}

func sumGrad[T kern.Float](masked bool) kernel {
	return func(dst, in []Buffer) {
		g := data[T](in[len(in)-1])[0]
		dx := data[T](dst[0])
		for i := range dx {
			dx[i] = g
		}
		if !masked {
			return
		}
		for i, m := range data[T](in[1]) {
			if m == 0 {
				dx[i] = 0
			}
		}
	}
}

// segmentSum is the sum of the masked elements of each segment.
func segmentSum(x, mask, segments, like *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("segment sum")
	n := s.float("x", x, -1)[0]
	s.float("mask", mask, n)
	s.ints("segments", segments, n)
	if s.err == nil && (like == nil || len(like.Shape()) != 1) {
		return nil, fmt.Errorf("ops: segment sum: like is not an (S) vector")
	}
	if s.err != nil {
		return nil, s.err
	}
	segs := like.Shape()[0]
	grad := func(_ gorgonia.Nodes, _, dsum *gorgonia.Node) (gorgonia.Nodes, error) {
		g := newSig("segment sum backward")
		g.float("mask", mask, n)
		g.ints("segments", segments, n)
		g.float("dsum", dsum, segs)
		dx, err := g.build("segment sum backward", 0, 1, tensor.Shape{n},
			g.pick(segmentSumGrad[float32](), segmentSumGrad[float64]()), nil, nil)
		return gorgonia.Nodes{dx, nil, nil}, err
	}
	return s.build("segment sum", 0, 1, tensor.Shape{segs},
		s.pick(segmentSumForward[float32](), segmentSumForward[float64]()), []bool{true, false, false}, grad)
}

func segmentSumForward[T kern.Float]() kernel {
	return func(dst, in []Buffer) {
		x, mask, seg, out := data[T](in[0]), data[T](in[1]), in[2].I32, data[T](dst[0])
		clear(out)
		for i, m := range mask {
			if m != 0 && seg[i] >= 0 {
				out[seg[i]] += x[i]
			}
		}
	}
}

func segmentSumGrad[T kern.Float]() kernel {
	return func(dst, in []Buffer) {
		mask, seg, dsum, dx := data[T](in[0]), in[1].I32, data[T](in[2]), data[T](dst[0])
		for i, m := range mask {
			dx[i] = 0
			if m != 0 && seg[i] >= 0 {
				dx[i] = dsum[seg[i]]
			}
		}
	}
}

// spread gives each slot the value of its segment.
func spread(v, segments *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("spread")
	segs := s.float("v", v, -1)[0]
	n := s.ints("segments", segments, -1)[0]
	grad := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		g := newSig("spread backward")
		g.float("dout", dout, n)
		g.ints("segments", segments, n)
		dv, err := g.build(fmt.Sprintf("spread backward %d", segs), 0, 1, tensor.Shape{segs},
			g.pick(spreadGrad[float32](), spreadGrad[float64]()), nil, nil)
		return gorgonia.Nodes{dv, nil}, err
	}
	return s.build("spread", 0, 1, tensor.Shape{n},
		s.pick(spreadForward[float32](), spreadForward[float64]()), []bool{true, false}, grad)
}

func spreadForward[T kern.Float]() kernel {
	return func(dst, in []Buffer) {
		v, out := data[T](in[0]), data[T](dst[0])
		for i, seg := range in[1].I32 {
			out[i] = 0
			if seg >= 0 {
				out[i] = v[seg]
			}
		}
	}
}

func spreadGrad[T kern.Float]() kernel {
	return func(dst, in []Buffer) {
		dout, dv := data[T](in[0]), data[T](dst[0])
		clear(dv)
		for i, seg := range in[1].I32 {
			if seg >= 0 {
				dv[seg] += dout[i]
			}
		}
	}
}

// stride takes every step-th element.
func stride(v *gorgonia.Node, offset, step int) (*gorgonia.Node, error) {
	s := newSig("stride")
	segs := s.float("v", v, -1)[0]
	if s.err == nil && (step < 1 || offset < 0 || offset >= step || segs%step != 0) {
		return nil, fmt.Errorf("ops: stride: offset %d and step %d do not divide %d elements", offset, step, segs)
	}
	key := fmt.Sprintf("stride %d %d", offset, step)
	grad := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		g := newSig("stride backward")
		g.float("dout", dout, segs/step)
		dv, err := g.build(key+" backward", 0, 1, tensor.Shape{segs},
			g.pick(strideGrad[float32](offset, step), strideGrad[float64](offset, step)), nil, nil)
		return gorgonia.Nodes{dv}, err
	}
	if s.err != nil {
		return nil, s.err
	}
	return s.build(key, 0, 1, tensor.Shape{segs / step},
		s.pick(strideForward[float32](offset, step), strideForward[float64](offset, step)), []bool{true}, grad)
}

func strideForward[T kern.Float](offset, step int) kernel {
	return func(dst, in []Buffer) {
		v, out := data[T](in[0]), data[T](dst[0])
		for i := range out {
			out[i] = v[i*step+offset]
		}
	}
}

func strideGrad[T kern.Float](offset, step int) kernel {
	return func(dst, in []Buffer) {
		dout, dv := data[T](in[0]), data[T](dst[0])
		clear(dv)
		for i, g := range dout {
			dv[i*step+offset] = g
		}
	}
}
