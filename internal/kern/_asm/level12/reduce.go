package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

var masks = emit.Masks{Name: "lanes"}

// sumAbs emits the sum of absolute values.
func sumAbs() {
	absolute("sumAbsAsm", "the sum of the absolute values of x", func(acc, y VecVirtual) {
		VADDPS(y, acc, acc)
	}, VADDPS, VADDSS)
}

// maxAbs emits the greatest absolute value. Of an operand that is not a number VMAXPS takes the other, if that is written first.
func maxAbs() {
	absolute("maxAbsAsm", "the greatest absolute value in x, NaN left out, 0 if nothing is left,", func(acc, y VecVirtual) {
		VMAXPS(acc, y, acc)
	}, VMAXPS, VMAXSS)
}

// absolute emits a reduction of absolute values y.
func absolute(name, doc string, step func(acc, y VecVirtual), join, last func(...Op)) {
	var abs VecVirtual // all bits but the sign
	emit.Reduction(&masks, name, doc, []string{"x"}, func() {
		abs = YMM()
		VPCMPEQD(abs, abs, abs)
		VPSRLD(U8(1), abs, abs)
	}, func(acc VecVirtual, x []VecVirtual) {
		VANDPS(abs, x[0], x[0])
		step(acc, x[0])
	}, join, last)
}
