// Command level12 generates the loops of vectors with vectors and of matrices with vectors.
//
// A sum has sixteen lanes whatever the width of the registers: element i adds to lane i mod 16, and the lanes are joined 8, 4, 2
// and 1 apart. Products are rounded before they are added, so AVX-512, AVX2 and Go give the same bits. Lanes past the last
// element are masked: nothing outside the operands is read or written.
//
// Only the loops over matrices, and saxpy for the rows of Sger, come in both widths. They share the loads of a vector among four rows,
// so the number of instructions counts; other loops over one or two vectors wait for memory or for one chain of additions.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

func main() {
	ConstraintExpr("!purego")
	for _, w := range []wide{avx512{}, &avx2{}} {
		rowsTimes(w)
		addRows(w)
		axpy(w)
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
	mask(n GPVirtual) GPVirtual          // returns n mod 16, the elements at the end that loadPart and storePart then take
	loadPart(m Mem, x VecVirtual, v int) // 0 past the mask
	storePart(x VecVirtual, m Mem, v int)
}

type avx512 struct{}

func (avx512) name() string      { return "AVX512" }
func (avx512) vecs() int         { return 1 }
func (avx512) reg() VecVirtual   { return ZMM() }
func (avx512) disp(v int) int    { return 64 * v }
func (avx512) zero(x VecVirtual) { VPXORD(x, x, x) }

func (avx512) mask(n GPVirtual) GPVirtual {
	tmp, last := GP64(), mod16(n)
	emit.FirstLanes512(last, tmp, K1)
	return last
}

func (avx512) loadPart(m Mem, x VecVirtual, v int)  { VMOVUPS_Z(m, K1, x) }
func (avx512) storePart(x VecVirtual, m Mem, v int) { VMOVUPS(x, K1, m) }

type avx2 struct {
	part [2]VecVirtual // the masks of the kernel under construction
}

func (*avx2) name() string      { return "AVX2" }
func (*avx2) vecs() int         { return 2 }
func (*avx2) reg() VecVirtual   { return YMM() }
func (*avx2) disp(v int) int    { return 32 * v }
func (*avx2) zero(x VecVirtual) { VXORPS(x, x, x) }

func mod16(n GPVirtual) GPVirtual {
	last := GP64()
	MOVQ(n, last)
	ANDQ(I8(15), last)
	return last
}

func (w *avx2) mask(n GPVirtual) GPVirtual {
	last := mod16(n)
	w.part = masks.Last(last)
	return last
}

func (w *avx2) loadPart(m Mem, x VecVirtual, v int)  { VMASKMOVPS(m, w.part[v], x) }
func (w *avx2) storePart(x VecVirtual, m Mem, v int) { VMASKMOVPS(x, w.part[v], m) }

// elementwise emits a loop that changes two vectors, n a positive multiple of 8.
func elementwise(name, doc string, consts []string, step func(x, y VecVirtual, k []VecVirtual) (newX, newY VecVirtual)) {
	emit.Func(name, emit.Signature([]string{"x", "y"}, consts), "sets "+doc+" for n elements, a positive multiple of 8.")
	n, x, y := emit.Arg("n"), emit.Arg("x"), emit.Arg("y")
	var k []VecVirtual
	for _, c := range consts {
		k = append(k, emit.Spread(c))
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
	emit.End()
}
