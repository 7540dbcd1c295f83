package cpu

import (
	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// sum adds up in float64 and in slot order.
func sum[T kern.Float](masked bool) backend.Kernel {
	return func(dst, in []backend.Buffer) {
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

func sumBackward[T kern.Float](masked bool) backend.Kernel {
	return func(dst, in []backend.Buffer) {
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

func segmentSum[T kern.Float](dst, in []backend.Buffer) {
	x, mask, seg, out := data[T](in[0]), data[T](in[1]), in[2].I32, data[T](dst[0])
	clear(out)
	for i, m := range mask {
		if m != 0 && seg[i] >= 0 {
			out[seg[i]] += x[i]
		}
	}
}

func segmentSumBackward[T kern.Float](dst, in []backend.Buffer) {
	mask, seg, dsum, dx := data[T](in[0]), in[1].I32, data[T](in[2]), data[T](dst[0])
	for i, m := range mask {
		dx[i] = 0
		if m != 0 && seg[i] >= 0 {
			dx[i] = dsum[seg[i]]
		}
	}
}

func spread[T kern.Float](dst, in []backend.Buffer) {
	v, out := data[T](in[0]), data[T](dst[0])
	for i, seg := range in[1].I32 {
		out[i] = 0
		if seg >= 0 {
			out[i] = v[seg]
		}
	}
}

func spreadBackward[T kern.Float](dst, in []backend.Buffer) {
	dout, dv := data[T](in[0]), data[T](dst[0])
	clear(dv)
	for i, seg := range in[1].I32 {
		if seg >= 0 {
			dv[seg] += dout[i]
		}
	}
}

func stride[T kern.Float](s backend.Step) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		v, out := data[T](in[0]), data[T](dst[0])
		for i := range out {
			out[i] = v[i*s.By+s.Offset]
		}
	}
}

func strideBackward[T kern.Float](s backend.Step) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		dout, dv := data[T](in[0]), data[T](dst[0])
		clear(dv)
		for i, g := range dout {
			dv[i*s.By+s.Offset] = g
		}
	}
}
