package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The exponential is that of exp/main.go, for numbers that are at most a little above 0, or NaN.
const (
	cLog2e = iota
	cRound
	cLn2Hi
	cLn2Lo
	cLow
	cTaylor // 1/7!, 1/6!, ... 1/0!
	cNever  = cTaylor + 8
	numExp  = cNever + 1 // -Inf
)

var expConsts, onesZeros Mem

func tables() {
	expConsts = GLOBL("attnConsts", RODATA|NOPTR)
	ln2Hi := float32(math.Ln2)
	v := [numExp]float32{math.Log2E, 3 << 22, ln2Hi, float32(math.Ln2 - float64(ln2Hi)), math.Float32frombits(0xc2aeac4f)}
	for i, f := 0, 1.0; i < 8; i++ {
		v[cTaylor+7-i] = float32(1 / f)
		f *= float64(i + 1)
	}
	v[cNever] = float32(math.Inf(-1))
	for i, x := range v {
		for l := range 8 {
			DATA(4*(8*i+l), U32(math.Float32bits(x)))
		}
	}
	onesZeros = GLOBL("attnLanes", RODATA|NOPTR) // 16 words of ones, then 16 of zeros
	for i := range 32 {
		DATA(4*i, U32(map[bool]uint32{true: 0xffffffff}[i < 16]))
	}
}

// isa is an instruction set's way to treat 16 lanes.
type isa interface {
	name() string
	prepare()                          // once, before the first row
	zero() lanes                       // 16 zeros
	constant(c int) lanes              // 16 copies of a constant
	spread(m Mem) lanes                // 16 copies of a number in memory
	load(m Mem) lanes                  //
	store(x lanes, m Mem)              //
	tail(n GPVirtual)                  // the lanes that a partial round of n has
	loadTail(m Mem, other lanes) lanes // those of other beyond n
	clearTail(x lanes)                 // sets lanes beyond n to 0
	loadInside(m Mem) lanes            // 0 beyond n, where memory is not touched
	storeInside(x lanes, m Mem)        // the first n lanes
	each(op func(...Op), x, y, z lanes)
	exp(x lanes) lanes
}

// lanes are one register of 16 or two of 8.
type lanes []VecVirtual

type avx512 struct {
	c      [numExp]VecPhysical
	inside Register
}

func (*avx512) name() string { return "AVX512" }

func (v *avx512) prepare() {
	t := GP64()
	LEAQ(expConsts, t)
	for i := range v.c {
		v.c[i] = high[i]
		VBROADCASTSS(Mem{Base: t, Disp: 32 * i}, v.c[i])
	}
}

func (v *avx512) zero() lanes {
	z := ZMM()
	VPXORD(z, z, z)
	return lanes{z}
}

func (v *avx512) constant(c int) lanes {
	z := ZMM()
	VMOVAPS(v.c[c], z)
	return lanes{z}
}

func (v *avx512) spread(m Mem) lanes {
	z := ZMM()
	VBROADCASTSS(m, z)
	return lanes{z}
}

func (v *avx512) load(m Mem) lanes {
	z := ZMM()
	VMOVUPS(m, z)
	return lanes{z}
}

func (v *avx512) store(x lanes, m Mem) { VMOVUPS(x[0], m) }

func (v *avx512) tail(n GPVirtual) {
	all := GP64()
	MOVQ(I32(-1), all)
	BZHIQ(n, all, all)
	v.inside = K()
	KMOVW(all.As32(), v.inside)
}

func (v *avx512) loadTail(m Mem, other lanes) lanes {
	z := ZMM()
	VMOVAPS(other[0], z)
	VMOVUPS(m, v.inside, z)
	return lanes{z}
}

func (v *avx512) clearTail(x lanes) { VMOVAPS_Z(x[0], v.inside, x[0]) }

func (v *avx512) loadInside(m Mem) lanes {
	z := ZMM()
	VMOVUPS_Z(m, v.inside, z)
	return lanes{z}
}

func (v *avx512) storeInside(x lanes, m Mem) { VMOVUPS(x[0], v.inside, m) }

func (v *avx512) each(op func(...Op), x, y, z lanes) { op(x[0], y[0], z[0]) }

func (v *avx512) exp(x lanes) lanes {
	y, n, p := ZMM(), ZMM(), ZMM()
	normal := K()
	VMOVAPS(x[0], y)
	VMOVAPS(v.c[cRound], n)
	VFMADD231PS(v.c[cLog2e], y, n)
	VSUBPS(v.c[cRound], n, n)
	VFNMADD231PS(v.c[cLn2Hi], n, y)
	VFNMADD231PS(v.c[cLn2Lo], n, y)
	VMOVAPS(v.c[cTaylor], p)
	for i := cTaylor + 1; i < cTaylor+8; i++ {
		VFMADD213PS(v.c[i], y, p)
	}
	// Too low numbers end as 0, whatever came of them; NaN is not lower than anything and stays.
	const notLess = 5
	VCMPPS(U8(notLess), v.c[cLow], x[0], normal)
	VSCALEFPS_Z(n, p, normal, p)
	return lanes{p}
}

type avx2 struct {
	table  GPVirtual
	inside lanes
}

func (*avx2) name() string { return "AVX2" }

func (v *avx2) prepare() {
	v.table = GP64()
	LEAQ(expConsts, v.table)
}

func (v *avx2) c(i int) Mem { return Mem{Base: v.table, Disp: 32 * i} }

// both makes 16 lanes of two halves.
func both(f func(half int, y VecVirtual)) lanes {
	x := lanes{YMM(), YMM()}
	for i, y := range x {
		f(i, y)
	}
	return x
}

func (v *avx2) zero() lanes { return both(func(_ int, y VecVirtual) { VXORPS(y, y, y) }) }

func (v *avx2) constant(c int) lanes {
	return both(func(_ int, y VecVirtual) { VMOVUPS(v.c(c), y) })
}

func (v *avx2) spread(m Mem) lanes {
	y := YMM()
	VBROADCASTSS(m, y)
	return lanes{y, y}
}

func (v *avx2) load(m Mem) lanes {
	return both(func(i int, y VecVirtual) { VMOVUPS(m.Offset(32*i), y) })
}

func (v *avx2) store(x lanes, m Mem) {
	for i, y := range x {
		VMOVUPS(y, m.Offset(32*i))
	}
}

func (v *avx2) tail(n GPVirtual) {
	at, back := GP64(), GP64()
	LEAQ(onesZeros, at)
	MOVQ(n, back)
	NEGQ(back)
	v.inside = v.load(Mem{Base: at, Disp: 64}.Idx(back, 4))
}

func (v *avx2) loadTail(m Mem, other lanes) lanes {
	x := v.load(m)
	for i, y := range x {
		VBLENDVPS(v.inside[i], y, other[i], y)
	}
	return x
}

func (v *avx2) clearTail(x lanes) { v.each(VANDPS, v.inside, x, x) }

func (v *avx2) loadInside(m Mem) lanes {
	return both(func(i int, y VecVirtual) { VMASKMOVPS(m.Offset(32*i), v.inside[i], y) })
}

func (v *avx2) storeInside(x lanes, m Mem) {
	for i, y := range x {
		VMASKMOVPS(y, v.inside[i], m.Offset(32*i))
	}
}

func (v *avx2) each(op func(...Op), x, y, z lanes) {
	for i := range x {
		op(x[i], y[i], z[i])
	}
}

func (v *avx2) exp(x lanes) lanes {
	return both(func(i int, p VecVirtual) {
		y, t, n := YMM(), YMM(), YMM()
		VMAXPS(v.c(cLow), x[i], y)
		VMOVUPS(v.c(cRound), t)
		VFMADD231PS(v.c(cLog2e), y, t)
		VSUBPS(v.c(cRound), t, n)
		VFNMADD231PS(v.c(cLn2Hi), n, y)
		VFNMADD231PS(v.c(cLn2Lo), n, y)
		VMOVUPS(v.c(cTaylor), p)
		for c := cTaylor + 1; c < cTaylor+8; c++ {
			VFMADD213PS(v.c(c), y, p)
		}
		VPSLLD(U8(23), t, t)
		VPADDD(t, p, p)
		VCMPPS(U8(0x0d), v.c(cLow), x[i], n)
		VANDPS(n, p, p)
		VCMPPS(U8(0x03), x[i], x[i], n)
		VADDPS(x[i], x[i], y)
		VBLENDVPS(n, y, p, p)
	})
}

// tree joins 16 lanes, 8 apart, 4, 2 and 1 apart, into the lowest.
func tree(x lanes, join, last func(...Op)) VecVirtual {
	y := YMM()
	if len(x) == 1 {
		VEXTRACTF64X4(U8(1), x[0], y)
		join(y, x[0].AsY(), y)
	} else {
		join(x[1], x[0], y)
	}
	lo, hi := y.AsX(), XMM()
	VEXTRACTF128(U8(1), y, hi)
	join(hi, lo, lo)
	VPERMILPS(U8(0b1110), lo, hi)
	join(hi, lo, lo)
	VPERMILPS(U8(1), lo, hi)
	last(hi, lo, lo)
	return y
}

// high are registers that only AVX-512 has: what is left to the rest can be named in other instructions too.
var high = []VecPhysical{Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31}
