// Command exp generates the float32 exponential in AVX-512 and AVX2, the same operations in the
// same order in both.
package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

var lanes Mem // eight words of ones, then eight of zeros

func main() {
	ConstraintExpr("!purego")
	lanes = GLOBL("lanes", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(map[bool]uint32{true: 0xffffffff}[i < 8]))
	}
	exp512()
	exp2()
	Generate()
}

// The exponential: e^x = 2^n e^r with n the nearest integer to x/ln 2, e^r by Taylor's polynomial
// of degree 7, which for |r| <= ln 2 / 2 is off by less than 6e-9 of the value.
const (
	cLog2e = iota
	cRound // 1.5 * 2^23: adding it rounds to an integer, which the low bits then hold
	cLn2Hi // ln 2 in float32: x - n ln2Hi is exact, as both are multiples of 2^-24
	cLn2Lo
	cLow  // the least x whose exponential is a normal number; below it the result is 0
	cHigh // the greatest x whose exponential is finite
	cInf
	cTaylor // 1/7!, 1/6!, ... 1/0!
	numExp  = cTaylor + 8
)

func expTable() Mem {
	t := GLOBL("expTable", RODATA|NOPTR)
	ln2Hi := float32(math.Ln2)
	v := [numExp]float32{math.Log2E, 3 << 22, ln2Hi, float32(math.Ln2 - float64(ln2Hi)),
		math.Float32frombits(0xc2aeac4f), math.Float32frombits(0x42b17217), float32(math.Inf(1))}
	for i, f := 0, 1.0; i < 8; i++ {
		v[cTaylor+7-i] = float32(1 / f)
		f *= float64(i + 1)
	}
	for i, x := range v {
		for l := range 8 {
			DATA(4*(8*i+l), U32(math.Float32bits(x)))
		}
	}
	return t
}

var table Mem

func exp512() {
	table = expTable()
	TEXT("expAVX512", NOSPLIT, "func(n int, dst, src *float32)")
	Doc("expAVX512 sets dst[i] = e^src[i] for i in [0, n); see Exp.")
	Pragma("noescape")
	n, dst, src, tmp := RCX, RDI, RSI, RAX
	Load(Param("n"), n)
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	LEAQ(table, tmp)
	c := make([]Op, numExp)
	for i := range c {
		c[i] = zmm[8+i]
		VBROADCASTSS(Mem{Base: tmp, Disp: 32 * i}, c[i])
	}
	MOVQ(I32(-1), tmp)
	KMOVW(tmp.As32(), K1)
	body := func() {
		x, y, t, r, p := Z0, Z1, Z2, Z3, Z4
		VMOVUPS_Z(Mem{Base: src}, K1, x)
		VMINPS(c[cHigh], x, y)
		VMAXPS(c[cLow], y, y)
		VMOVAPS(c[cRound], t)
		VFMADD231PS(c[cLog2e], y, t)
		VSUBPS(c[cRound], t, r) // n
		VFNMADD231PS(c[cLn2Hi], r, y)
		VFNMADD231PS(c[cLn2Lo], r, y)
		VMOVAPS(c[cTaylor], p)
		for i := cTaylor + 1; i < numExp; i++ {
			VFMADD213PS(c[i], y, p)
		}
		VPSLLD(U8(23), t, t)
		VPADDD(t, p, p)
		VCMPPS(U8(0x0d), c[cLow], x, K2) // x >= low
		VMOVAPS_Z(p, K2, p)
		VCMPPS(U8(0x0e), c[cHigh], x, K3) // x > high
		VMOVAPS(c[cInf], K3, p)
		VCMPPS(U8(0x03), x, x, K4) // x is NaN
		VADDPS(x, x, K4, p)
		VMOVUPS(p, K1, Mem{Base: dst})
	}
	Label("loop")
	SUBQ(I8(16), n)
	JL(LabelRef("tail"))
	body()
	ADDQ(I8(64), src)
	ADDQ(I8(64), dst)
	JMP(LabelRef("loop"))
	Label("tail")
	ADDQ(I8(16), n)
	JZ(LabelRef("done"))
	MOVQ(I32(1), tmp)
	SHLQ(CL, tmp)
	DECQ(tmp)
	KMOVW(tmp.As32(), K1)
	body()
	Label("done")
	VZEROUPPER()
	RET()
}

func exp2() {
	TEXT("expAVX2", NOSPLIT, "func(n int, dst, src *float32)")
	Doc("expAVX2 sets dst[i] = e^src[i] for i in [0, n); see Exp.")
	Pragma("noescape")
	n, dst, src, tmp := RCX, RDI, RSI, RAX
	Load(Param("n"), n)
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	LEAQ(table, tmp)
	c := func(i int) Mem { return Mem{Base: tmp, Disp: 32 * i} }
	mask := Y15
	x, y, t, r, p := Y0, Y1, Y2, Y3, Y4
	body := func() {
		VMINPS(c(cHigh), x, y)
		VMAXPS(c(cLow), y, y)
		VMOVUPS(c(cRound), t)
		VFMADD231PS(c(cLog2e), y, t)
		VSUBPS(c(cRound), t, r) // n
		VFNMADD231PS(c(cLn2Hi), r, y)
		VFNMADD231PS(c(cLn2Lo), r, y)
		VMOVUPS(c(cTaylor), p)
		for i := cTaylor + 1; i < numExp; i++ {
			VFMADD213PS(c(i), y, p)
		}
		VPSLLD(U8(23), t, t)
		VPADDD(t, p, p)
		VCMPPS(U8(0x0d), c(cLow), x, r) // x >= low
		VANDPS(r, p, p)
		VCMPPS(U8(0x0e), c(cHigh), x, r) // x > high
		VBLENDVPS(r, c(cInf), p, p)
		VCMPPS(U8(0x03), x, x, r) // x is NaN
		VADDPS(x, x, x)
		VBLENDVPS(r, x, p, p)
	}
	Label("loop")
	SUBQ(I8(8), n)
	JL(LabelRef("tail"))
	VMOVUPS(Mem{Base: src}, x)
	body()
	VMOVUPS(p, Mem{Base: dst})
	ADDQ(I8(32), src)
	ADDQ(I8(32), dst)
	JMP(LabelRef("loop"))
	Label("tail")
	ADDQ(I8(8), n)
	JZ(LabelRef("done"))
	lanesMask(n, RDX, mask)
	VMASKMOVPS(Mem{Base: src}, mask, x)
	body()
	VMASKMOVPS(p, mask, Mem{Base: dst})
	Label("done")
	VZEROUPPER()
	RET()
}

// lanesMask sets the first n of eight lanes of mask; it changes n and tmp.
func lanesMask(n, tmp GPPhysical, mask Op) {
	NEGQ(n)
	LEAQ(lanes, tmp)
	VMOVUPS(Mem{Base: tmp, Index: n, Scale: 4, Disp: 32}, mask)
}

var zmm = []VecPhysical{
	Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
}
