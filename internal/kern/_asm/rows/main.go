// Command rows generates the float32 loops of the row kernels.
//
// Element-wise loops take a positive multiple of 8 elements and do what their Go twins do, operation by operation, products
// rounded before they are added: an element has the same bits in the vector part, in the Go tail and in a build without
// assembly. Reductions take any length and add element i to virtual lane i mod 16: two registers of eight; lanes beyond the
// last element add 0, which changes nothing. AVX2 is all they use: wider vectors gain little on loops that wait for memory or for divisions.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

func main() {
	ConstraintExpr("!purego")
	elementwise()
	gates()
	rotations()
	adamW()
	emit.Reduction(&masks, "sumAsm", "the sum of x", []string{"x"}, nil, func(acc VecVirtual, x []VecVirtual) {
		VADDPS(x[0], acc, acc)
	}, VADDPS, VADDSS)
	emit.Reduction(&masks, "dotAsm", "the sum of a * b", []string{"a", "b"}, nil, func(acc VecVirtual, x []VecVirtual) {
		VMULPS(x[1], x[0], x[0])
		VADDPS(x[0], acc, acc)
	}, VADDPS, VADDSS)
	sumSquares()
	greatest()
	Generate()
}
