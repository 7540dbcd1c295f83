package kern

import "math"

// The bounds between which Exp in float32 gives a normal number.
const (
	expLow  = -0x1.5d589ep+6 // the least x with e^x at least 2^-126, about -87.34
	expHigh = 0x1.62e42ep+6  // the greatest x with e^x finite, about 88.72
)

// Exp sets dst[i] = e^src[i]. dst may be src. An element's bits depend on its value only.
//
// In float32 the result is within 2 ulp; where it would be less than the least normal number,
// 2^-126, it is 0, because arithmetic on denormals is slow on many CPUs. Exp(0) is exactly 1,
// Exp(-Inf) 0, Exp(+Inf) +Inf, and NaN stays NaN.
func Exp[T Float](dst, src []T) {
	dst = dst[:len(src)]
	if x, ok := any(src).([]float32); ok {
		exp32(any(dst).([]float32), x)
		return
	}
	for i, x := range src {
		dst[i] = T(math.Exp(float64(x)))
	}
}

func exp32Go(dst, src []float32) {
	for i, x := range src {
		if x < expLow {
			dst[i] = 0
		} else {
			dst[i] = float32(math.Exp(float64(x)))
		}
	}
}
