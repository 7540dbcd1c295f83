package optim

import "math"

// update holds the numbers of one step of one parameter.
type update struct {
	lr, beta1, beta2, eps, decay float64
	bias1, bias2                 float64 // 1-Beta^t
	gradScale                    float64
}

// apply is AdamW's step for the elements of one parameter.
func apply[T float32 | float64](c update, p, g, m, v []T) {
	var (
		shrink = T(1 - c.lr*c.decay)
		mix1   = T(1 - c.beta1)
		keep2  = T(c.beta2)
		mix2   = T(1 - c.beta2)
		rate   = T(c.lr / c.bias1)
		root   = T(math.Sqrt(c.bias2))
		eps    = T(c.eps)
		scale  = T(c.gradScale)
	)
	for i := range p {
		gi := g[i] * scale
		m[i] += mix1 * (gi - m[i])
		v[i] = keep2*v[i] + mix2*gi*gi
		p[i] = p[i]*shrink - rate*m[i]/(T(math.Sqrt(float64(v[i])))/root+eps)
	}
}
