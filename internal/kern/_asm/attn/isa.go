package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

var (
	numbers   emit.Table
	onesZeros Mem
)

func tables() {
	numbers = emit.NewTable("attnConsts", append(append([]emit.Number{emit.Log2e, emit.Round, emit.Ln2Hi, emit.Ln2Lo, emit.Low},
		emit.Coefficients()...), emit.NegInf)...)
	onesZeros = emit.Words("attnLanes", 16, 16)
}

// isa is an instruction set's way to treat 16 lanes.
type isa interface {
	name() string
	prepare()                          // once, before the first row
	zero() lanes                       // 16 zeros
	constant(c emit.Number) lanes      // 16 copies of a number
	spread(m Mem) lanes                // 16 copies of a number in memory
	load(m Mem) lanes                  //
	store(x lanes, m Mem)              //
	tail(n GPVirtual)                  // the lanes that a partial round of n has
	loadTail(m Mem, other lanes) lanes // those of other beyond n
	clearTail(x lanes)                 // sets lanes beyond n to 0
	loadInside(m Mem) lanes            // 0 beyond n, where memory is not touched
	storeInside(x lanes, m Mem)        // the first n lanes
	each(op func(...Op), x, y, z lanes)
	exp(x lanes) lanes // of numbers that are at most a little above 0, or NaN
}

// lanes are one register of 16 or two of 8.
type lanes = []VecVirtual

type avx512 struct {
	c      func(emit.Number) Op
	inside Register
}

func (*avx512) name() string { return "AVX512" }

func (v *avx512) prepare() {
	t := GP64()
	LEAQ(numbers.Mem, t)
	v.c = numbers.Load512(t, emit.Z[16:]) // that only AVX-512 has: what is left can be named in other instructions too
}

func (v *avx512) zero() lanes {
	z := ZMM()
	VPXORD(z, z, z)
	return lanes{z}
}

func (v *avx512) constant(c emit.Number) lanes {
	z := ZMM()
	VMOVAPS(v.c(c), z)
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
	v.inside = K()
	emit.FirstLanes512(n, all, v.inside)
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
	emit.Exp(VMOVAPS, v.c, y, n, n, p)
	// Too low numbers end as 0, whatever came of them; NaN is not lower than anything and stays.
	VCMPPS(emit.NotLess, v.c(emit.Low), x[0], normal)
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
	LEAQ(numbers.Mem, v.table)
}

func (v *avx2) c(i emit.Number) Op { return numbers.At(i, v.table) }

// both makes 16 lanes of two halves.
func both(f func(half int, y VecVirtual)) lanes {
	x := lanes{YMM(), YMM()}
	for i, y := range x {
		f(i, y)
	}
	return x
}

func (v *avx2) zero() lanes { return both(func(_ int, y VecVirtual) { VXORPS(y, y, y) }) }

func (v *avx2) constant(c emit.Number) lanes {
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
		VMAXPS(v.c(emit.Low), x[i], y)
		emit.Exp(VMOVUPS, v.c, y, t, n, p)
		emit.TimesPowerOf2(t, p)
		VCMPPS(emit.GreaterEqual, v.c(emit.Low), x[i], n)
		VANDPS(n, p, p)
		VCMPPS(emit.Unordered, x[i], x[i], n)
		VADDPS(x[i], x[i], y)
		VBLENDVPS(n, y, p, p)
	})
}

// tree joins 16 lanes, 8 apart, 4, 2 and 1 apart, into the lowest.
func tree(x lanes, join, last func(...Op)) Register {
	y := YMM()
	if len(x) == 1 {
		VEXTRACTF64X4(U8(1), x[0], y)
		join(y, x[0].AsY(), y)
	} else {
		join(x[1], x[0], y)
	}
	return emit.Tree(y, join, last)
}
