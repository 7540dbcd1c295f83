package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

var masks = emit.Masks{Name: "tail"}

func sumSquares() {
	n, ptrs := emit.BeginReduction("sumSquaresAsm", "the sum of x * x, in float64,", []string{"x"}, "float64")
	x := ptrs[0]
	acc := [4]VecVirtual{YMM(), YMM(), YMM(), YMM()}
	for _, a := range acc {
		VXORPD(a, a, a)
	}
	emit.Sixteens(n, ptrs, func() {
		for i, a := range acc {
			y := YMM()
			VCVTPS2PD(Mem{Base: x, Disp: 16 * i}, y)
			VFMADD231PD(y, y, a) // the product is exact
		}
	}, func() {
		for i, m := range masks.Last(n) {
			y, half, wide := YMM(), XMM(), YMM()
			VMASKMOVPS(Mem{Base: x, Disp: 32 * i}, m, y)
			VEXTRACTF128(U8(1), y, half)
			VCVTPS2PD(y.AsX(), wide)
			VFMADD231PD(wide, wide, acc[2*i])
			VCVTPS2PD(half, wide)
			VFMADD231PD(wide, wide, acc[2*i+1])
		}
	})
	VADDPD(acc[2], acc[0], acc[0]) // 8 apart
	VADDPD(acc[3], acc[1], acc[1])
	VADDPD(acc[1], acc[0], acc[0]) // 4 apart
	lo, hi := acc[0].AsX(), XMM()
	VEXTRACTF128(U8(1), acc[0], hi)
	VADDPD(hi, lo, lo) // 2 apart
	VPERMILPD(U8(1), lo, hi)
	VADDSD(hi, lo, lo)
	Store(lo, ReturnIndex(0))
	emit.End()
}

func greatest() {
	n, ptrs := emit.BeginReduction("maxAsm", "the greatest of x, NaN if one is NaN,", []string{"x"}, "float32")
	x := ptrs[0]
	word, least := GP32(), YMM()
	MOVL(U32(0xff800000), word) // -Inf
	VMOVD(word, least.AsX())
	VPBROADCASTD(least.AsX(), least)
	nan := YMM() // all ones in lanes that met a NaN
	VXORPS(nan, nan, nan)
	acc := []VecVirtual{YMM(), YMM()}
	for _, a := range acc {
		VMOVAPS(least, a)
	}
	step := func(acc, y VecVirtual) {
		bad := YMM()
		VCMPPS(emit.Unordered, y, y, bad)
		VORPS(bad, nan, nan)
		VMAXPS(y, acc, acc)
	}
	emit.Sixteens(n, ptrs, func() {
		for i, a := range acc {
			y := YMM()
			VMOVUPS(Mem{Base: x, Disp: 32 * i}, y)
			step(a, y)
		}
	}, func() {
		for i, m := range masks.Last(n) {
			y := YMM()
			VMASKMOVPS(Mem{Base: x, Disp: 32 * i}, m, y)
			VBLENDVPS(m, y, least, y)
			step(acc[i], y)
		}
	})
	VPTEST(nan, nan)
	JNZ(LabelRef("unordered"))
	VMAXPS(acc[1], acc[0], acc[0])
	Store(emit.Tree(acc[0], VMAXPS, VMAXSS), ReturnIndex(0))
	emit.End()
	Label("unordered")
	VPCMPEQD(nan, nan, nan)
	Store(nan.AsX(), ReturnIndex(0)) // all ones: a NaN
	emit.End()
}
