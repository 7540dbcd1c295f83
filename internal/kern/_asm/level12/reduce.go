package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// sumAbs emits the sum of absolute values.
func sumAbs() {
	reduction("sumAbsAsm", "the sum of the absolute values of x", func(abs VecVirtual, acc *VecVirtual, y VecVirtual) {
		VANDPS(abs, y, y)
		VADDPS(y, *acc, *acc)
	}, VADDPS, VADDSS)
}

// maxAbs emits the greatest absolute value. Of an operand that is not a number VMAXPS takes the other, if that is written first.
func maxAbs() {
	reduction("maxAbsAsm", "the greatest absolute value in x, NaN left out, 0 if nothing is left,", func(abs VecVirtual, acc *VecVirtual, y VecVirtual) {
		VANDPS(abs, y, y)
		VMAXPS(*acc, y, *acc)
	}, VMAXPS, VMAXSS)
}

// reduction emits func(n int, x *float32) float32 over sixteen lanes that start from 0.
func reduction(name, doc string, step func(abs VecVirtual, acc *VecVirtual, y VecVirtual), join, last func(...Op)) {
	TEXT(name, NOSPLIT, "func(n int, x *float32) float32")
	Doc(name + " returns " + doc + " over n elements, any number.")
	Pragma("noescape")
	n := GP64()
	Load(Param("n"), n)
	x := Load(Param("x"), GP64())
	abs := YMM() // all bits but the sign
	VPCMPEQD(abs, abs, abs)
	VPSRLD(U8(1), abs, abs)
	acc := [2]VecVirtual{YMM(), YMM()}
	for _, a := range acc {
		VXORPS(a, a, a)
	}
	Label("steps")
	SUBQ(I8(16), n)
	JLT(LabelRef("rest"))
	for i := range acc {
		y := YMM()
		VMOVUPS(Mem{Base: x, Disp: 32 * i}, y)
		step(abs, &acc[i], y)
	}
	ADDQ(I8(64), x)
	JMP(LabelRef("steps"))
	Label("rest")
	ADDQ(I8(16), n)
	JZ(LabelRef("tree"))
	for i, m := range lastMasks(n) {
		y := YMM()
		VMASKMOVPS(Mem{Base: x, Disp: 32 * i}, m, y)
		step(abs, &acc[i], y)
	}
	Label("tree")
	join(acc[1], acc[0], acc[0])
	lo, hi := acc[0].AsX(), XMM()
	VEXTRACTF128(U8(1), acc[0], hi)
	join(hi, lo, lo)
	VPERMILPS(U8(0b1110), lo, hi)
	join(hi, lo, lo)
	VPERMILPS(U8(1), lo, hi)
	last(hi, lo, lo)
	Store(lo, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// lanes holds eight words of ones, then sixteen of zeros: the mask of k lanes starts at word 8-k.
var lanes Mem

func laneMasks() Mem {
	if lanes.Base == nil {
		lanes = GLOBL("lanes", RODATA|NOPTR)
		for i := range 24 {
			DATA(4*i, U32(map[bool]uint32{true: 0xffffffff}[i < 8]))
		}
	}
	return lanes
}

// lastMasks returns the masks of the two vectors that hold the last n < 16 elements.
func lastMasks(n GPVirtual) [2]VecVirtual {
	base, at, eight := GP64(), GP64(), GP64()
	LEAQ(laneMasks(), base)
	m := [2]VecVirtual{YMM(), YMM()}
	// first vector: min(n, 8) lanes
	MOVQ(U32(8), eight)
	MOVQ(n, at)
	CMPQ(at, eight)
	CMOVQGT(eight, at)
	NEGQ(at)
	VMOVUPS(Mem{Base: base, Disp: 32}.Idx(at, 4), m[0])
	// second vector: max(n-8, 0) lanes
	MOVQ(n, at)
	CMPQ(at, eight)
	CMOVQLT(eight, at)
	NEGQ(at)
	VMOVUPS(Mem{Base: base, Disp: 64}.Idx(at, 4), m[1])
	return m
}
