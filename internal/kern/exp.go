package kern

import "math"

// Exp sets dst[i] = e^src[i].
func Exp[T Float](dst, src []T) {
	for i, x := range src {
		dst[i] = T(math.Exp(float64(x)))
	}
}
