// Command level12 generates the loops of vectors with vectors and of matrices with vectors.
//
// A sum has sixteen lanes whatever the width of the registers: element i adds to lane i mod 16, and the lanes are joined 8, 4, 2
// and 1 apart. Products are rounded before they are added, so AVX-512, AVX2 and Go give the same bits. Lanes past the last
// element are masked: nothing outside the operands is read or written.
//
// Only the loops over matrices come in both widths. They share the loads of a vector among four rows, so the number of
// instructions counts; loops over one or two vectors wait for memory or for one chain of additions.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	for _, w := range []wide{avx512{}, avx2{}} {
		dots(w)
		axpys(w, 1)
		axpys(w, 4)
	}
	sumAbs()
	maxAbs()
	elementwise("swapAsm", "x, y = y, x", nil, func(x, y VecVirtual, _ []VecVirtual) (newX, newY VecVirtual) { return y, x })
	elementwise("rotAsm", "x, y = c*x + s*y, c*y - s*x", []string{"c", "s"}, func(x, y VecVirtual, k []VecVirtual) (newX, newY VecVirtual) {
		cx, cy := YMM(), YMM()
		VMULPS(k[0], x, cx)
		VMULPS(k[0], y, cy)
		VMULPS(k[1], y, y)
		VMULPS(k[1], x, x)
		VADDPS(y, cx, cx)
		VSUBPS(x, cy, cy)
		return cx, cy
	})
	Generate()
}

// wide is a width of vectors. A step is sixteen elements: one vector or two.
type wide interface {
	name() string
	vecs() int // in a step
	reg() VecVirtual
	disp(v int) int // bytes before vector v of a step
	zero(x VecVirtual)
	mask(n GPVirtual)                    // allows the first n < 16 elements to loadPart and storePart
	loadPart(m Mem, x VecVirtual, v int) // 0 past the mask
	storePart(x VecVirtual, m Mem, v int)
}

type avx512 struct{}

func (avx512) name() string      { return "AVX512" }
func (avx512) vecs() int         { return 1 }
func (avx512) reg() VecVirtual   { return ZMM() }
func (avx512) disp(v int) int    { return 64 * v }
func (avx512) zero(x VecVirtual) { VPXORD(x, x, x) }

func (avx512) mask(n GPVirtual) {
	m := GP64()
	MOVQ(I32(-1), m)
	BZHIQ(n, m, m)
	KMOVW(m.As32(), K1)
}

func (avx512) loadPart(m Mem, x VecVirtual, v int)  { VMOVUPS_Z(m, K1, x) }
func (avx512) storePart(x VecVirtual, m Mem, v int) { VMOVUPS(x, K1, m) }

type avx2 struct{}

func (avx2) name() string      { return "AVX2" }
func (avx2) vecs() int         { return 2 }
func (avx2) reg() VecVirtual   { return YMM() }
func (avx2) disp(v int) int    { return 32 * v }
func (avx2) zero(x VecVirtual) { VXORPS(x, x, x) }

// part are the masks of the kernel under construction.
var part [2]VecVirtual

func (avx2) mask(n GPVirtual)                     { part = lastMasks(n) }
func (avx2) loadPart(m Mem, x VecVirtual, v int)  { VMASKMOVPS(m, part[v], x) }
func (avx2) storePart(x VecVirtual, m Mem, v int) { VMASKMOVPS(x, part[v], m) }

// matrix is four rows, lda bytes apart, from a column on.
type matrix struct{ a, lda, lda3 Register }

func loadMatrix(rows int) matrix {
	m := matrix{a: Load(Param("a"), GP64())}
	if rows == 1 {
		return m
	}
	lda := GP64()
	Load(Param("lda"), lda)
	lda3 := GP64()
	LEAQ(Mem{Base: lda}.Idx(lda, 2), lda3)
	m.lda, m.lda3 = lda, lda3
	return m
}

// row is the element of row r that is disp bytes on.
func (m matrix) row(r, disp int) Mem {
	at := Mem{Base: m.a, Disp: disp}
	switch r {
	case 1, 2:
		return at.Idx(m.lda, uint8(r))
	case 3:
		return at.Idx(m.lda3, 1)
	}
	return at
}

// dots emits the products of four rows and a vector.
func dots(w wide) {
	const rows = 4
	TEXT("dots4"+w.name(), NOSPLIT, "func(n int, a *float32, lda int, x, out *float32)")
	Doc(fmt.Sprintf("dots4%s sets out[r] to the sum of a[r][j] * x[j] over n columns j, for the four rows r, which are lda bytes apart.", w.name()))
	Pragma("noescape")
	n, x := GP64(), GP64()
	Load(Param("n"), n)
	a := loadMatrix(rows)
	Load(Param("x"), x)
	var acc [rows][]VecVirtual
	for r := range acc {
		for range w.vecs() {
			acc[r] = append(acc[r], w.reg())
		}
	}
	for _, row := range acc {
		for _, y := range row {
			w.zero(y)
		}
	}
	Label("steps")
	SUBQ(I8(16), n)
	JLT(LabelRef("rest"))
	for v := range w.vecs() {
		y := w.reg()
		VMOVUPS(Mem{Base: x, Disp: w.disp(v)}, y)
		for r := range rows {
			t := w.reg()
			VMULPS(a.row(r, w.disp(v)), y, t)
			VADDPS(t, acc[r][v], acc[r][v])
		}
	}
	ADDQ(I8(64), a.a)
	ADDQ(I8(64), x)
	JMP(LabelRef("steps"))
	Label("rest")
	ADDQ(I8(16), n)
	JZ(LabelRef("tree"))
	w.mask(n)
	for v := range w.vecs() {
		y := w.reg()
		w.loadPart(Mem{Base: x, Disp: w.disp(v)}, y, v)
		for r := range rows {
			t := w.reg()
			w.loadPart(a.row(r, w.disp(v)), t, v)
			VMULPS(y, t, t)
			VADDPS(t, acc[r][v], acc[r][v])
		}
	}
	Label("tree")
	var four [rows]Register // lanes of each row
	for r := range rows {
		four[r] = joinTo4(acc[r])
	}
	join2 := func(p, q Register) Register { // lanes 0 and 1 of p and q as p0 q0 p1 q1
		lo, hi := XMM(), XMM()
		VUNPCKLPS(q, p, lo)
		VUNPCKHPS(q, p, hi)
		VADDPS(hi, lo, lo)
		return lo
	}
	p, q := join2(four[0], four[1]), join2(four[2], four[3])
	lo, hi := XMM(), XMM()
	VMOVLHPS(q, p, lo)
	VMOVHLPS(p, q, hi)
	VADDPS(hi, lo, lo)
	out := Load(Param("out"), GP64())
	VMOVUPS(lo, Mem{Base: out})
	VZEROUPPER()
	RET()
}

// joinTo4 joins sixteen lanes 8 and 4 apart.
func joinTo4(acc []VecVirtual) Register {
	y := acc[0].AsY()
	if len(acc) == 1 {
		hi := YMM()
		VEXTRACTF64X4(U8(1), acc[0], hi)
		VADDPS(hi, y, y)
	} else {
		VADDPS(acc[1], y, y)
	}
	x, hi := acc[0].AsX(), XMM()
	VEXTRACTF128(U8(1), y, hi)
	VADDPS(hi, x, x)
	return x
}

// axpys emits y plus multiples of rows, one after the other.
func axpys(w wide, rows int) {
	name := fmt.Sprintf("axpys%d%s", rows, w.name())
	if rows == 1 {
		TEXT(name, NOSPLIT, "func(n int, y, a *float32, t float32)")
		Doc(name + " sets y[j] += t * a[j] for n elements, any number.")
	} else {
		TEXT(name, NOSPLIT, "func(n int, y, a *float32, lda int, t *float32)")
		Doc(name + " sets y[j] += t[r] * a[r][j] for n columns j and for the four rows r, one after the other, which are lda bytes apart.")
	}
	Pragma("noescape")
	n, y := GP64(), GP64()
	Load(Param("n"), n)
	Load(Param("y"), y)
	a := loadMatrix(rows)
	t := make([]VecVirtual, rows)
	if rows == 1 {
		t[0] = w.reg()
		VBROADCASTSS(param("t"), t[0])
	} else {
		from := Load(Param("t"), GP64())
		for r := range t {
			t[r] = w.reg()
			VBROADCASTSS(Mem{Base: from, Disp: 4 * r}, t[r])
		}
	}
	Label("steps")
	SUBQ(I8(16), n)
	JLT(LabelRef("rest"))
	for v := range w.vecs() {
		sum := w.reg()
		for r := range rows {
			p := w.reg()
			VMULPS(a.row(r, w.disp(v)), t[r], p)
			if r == 0 {
				VADDPS(Mem{Base: y, Disp: w.disp(v)}, p, sum)
			} else {
				VADDPS(p, sum, sum)
			}
		}
		VMOVUPS(sum, Mem{Base: y, Disp: w.disp(v)})
	}
	ADDQ(I8(64), a.a)
	ADDQ(I8(64), y)
	JMP(LabelRef("steps"))
	Label("rest")
	ADDQ(I8(16), n)
	JZ(LabelRef("done"))
	w.mask(n)
	for v := range w.vecs() {
		sum := w.reg()
		w.loadPart(Mem{Base: y, Disp: w.disp(v)}, sum, v)
		for r := range rows {
			p := w.reg()
			w.loadPart(a.row(r, w.disp(v)), p, v)
			VMULPS(t[r], p, p)
			VADDPS(p, sum, sum)
		}
		w.storePart(sum, Mem{Base: y, Disp: w.disp(v)}, v)
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// elementwise emits a loop that changes two vectors, n a positive multiple of 8.
func elementwise(name, doc string, consts []string, step func(x, y VecVirtual, k []VecVirtual) (newX, newY VecVirtual)) {
	sig := "func(n int, x, y *float32"
	for _, c := range consts {
		sig += ", " + c + " float32"
	}
	TEXT(name, NOSPLIT, sig+")")
	Doc(name + " sets " + doc + " for n elements, a positive multiple of 8.")
	Pragma("noescape")
	n := GP64()
	Load(Param("n"), n)
	x, y := Load(Param("x"), GP64()), Load(Param("y"), GP64())
	var k []VecVirtual
	for _, c := range consts {
		k = append(k, YMM())
		VBROADCASTSS(param(c), k[len(k)-1])
	}
	Label("steps")
	p, q := YMM(), YMM()
	VMOVUPS(Mem{Base: x}, p)
	VMOVUPS(Mem{Base: y}, q)
	p, q = step(p, q, k)
	VMOVUPS(p, Mem{Base: x})
	VMOVUPS(q, Mem{Base: y})
	ADDQ(I8(32), x)
	ADDQ(I8(32), y)
	SUBQ(I8(8), n)
	JG(LabelRef("steps"))
	VZEROUPPER()
	RET()
}

func param(name string) Mem {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}
