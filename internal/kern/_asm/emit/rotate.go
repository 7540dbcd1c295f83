package emit

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// Rotate turns eight pairs a, b by their angles, or turns them back, and returns the new ones. It changes a and b.
func Rotate(a, b, cos, sin VecVirtual, back bool) (newA, newB VecVirtual) {
	first, second := VSUBPS, VADDPS
	if back {
		first, second = VADDPS, VSUBPS
	}
	ac, bs := YMM(), YMM()
	VMULPS(cos, a, ac)
	VMULPS(sin, b, bs)
	VMULPS(cos, b, b)
	VMULPS(sin, a, a)
	first(bs, ac, ac)
	second(a, b, b)
	return ac, b
}
