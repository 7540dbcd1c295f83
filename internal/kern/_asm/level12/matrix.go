package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

// rowsTimes emits y plus a multiple of the products of rows and a vector, four rows at a time.
func rowsTimes(w wide) {
	const rows = 4
	begin("rowsTimes"+w.name(), "y[i] += alpha * the sum of a[i][j] * x[j] over n columns j")
	n, x0 := emit.Arg("n"), emit.Arg("x")
	g := loadGroups()
	y := emit.Arg("y")
	alpha := XMM()
	VBROADCASTSS(emit.Address("alpha"), alpha)
	last := w.mask(n)
	var acc [rows][]VecVirtual
	for r := range acc {
		for range w.vecs() {
			acc[r] = append(acc[r], w.reg())
		}
	}

	Label("group")
	a, x, left := g.first(), GP64(), GP64()
	MOVQ(x0, x)
	MOVQ(n, left)
	for _, row := range acc {
		for _, v := range row {
			w.zero(v)
		}
	}
	steps(w, left, last, []Register{a.at, x}, "tree", func(v int) {
		xv := w.reg()
		VMOVUPS(Mem{Base: x, Disp: w.disp(v)}, xv)
		for r := range rows {
			t := w.reg()
			VMULPS(a.row(r, w.disp(v)), xv, t)
			VADDPS(t, acc[r][v], acc[r][v])
		}
	}, func(v int) {
		xv := w.reg()
		w.loadPart(Mem{Base: x, Disp: w.disp(v)}, xv, v)
		for r := range rows {
			t := w.reg()
			w.loadPart(a.row(r, w.disp(v)), t, v)
			VMULPS(xv, t, t)
			VADDPS(t, acc[r][v], acc[r][v])
		}
	})
	sums := join(acc)
	VMULPS(alpha, sums, sums)
	VADDPS(Mem{Base: y}, sums, sums)
	VMOVUPS(sums, Mem{Base: y})
	ADDQ(I8(4*rows), y)
	g.next("group")
}

// steps emits a loop over n elements at pointers that it moves on, vector by vector, then the part of a step that is left: last elements.
func steps(w wide, n, last GPVirtual, pointers []Register, end string, whole, part func(v int)) {
	each := func(f func(v int)) func() {
		return func() {
			for v := range w.vecs() {
				f(v)
			}
		}
	}
	emit.Steps(n, pointers, end, func() { TESTQ(last, last) }, each(whole), each(part))
}

// join joins the sixteen lanes of each of four rows 8, 4, 2 and 1 apart, and returns the four sums.
func join(acc [4][]VecVirtual) VecVirtual {
	var four [4]Register // lanes 0 to 3 of each row
	for r, v := range acc {
		if y := v[0].AsY(); len(v) == 1 {
			half := YMM()
			VEXTRACTF64X4(U8(1), v[0], half)
			VADDPS(half, y, y)
		} else {
			VADDPS(v[1], y, y)
		}
		four[r] = emit.Four(v[0], VADDPS)
	}
	two := func(p, q Register) Register { // lanes 0 and 1 of p and q: p0 q0 p1 q1
		lo, hi := XMM(), XMM()
		VUNPCKLPS(q, p, lo)
		VUNPCKHPS(q, p, hi)
		VADDPS(hi, lo, lo)
		return lo
	}
	p, q := two(four[0], four[1]), two(four[2], four[3])
	lo, hi := XMM(), XMM()
	VMOVLHPS(q, p, lo)
	VMOVHLPS(p, q, hi)
	VADDPS(hi, lo, lo)
	return lo
}

// addRows emits y plus multiples of rows, one after the other; they are taken four at a time.
func addRows(w wide) {
	const rows = 4
	begin("addRows"+w.name(), "y[j] += (alpha * x[i]) * a[i][j] for n columns j, row i after row")
	n, y0 := emit.Arg("n"), emit.Arg("y")
	g := loadGroups()
	x := emit.Arg("x")
	alpha := w.reg()
	VBROADCASTSS(emit.Address("alpha"), alpha)
	last := w.mask(n)

	Label("group")
	var t [rows]VecVirtual
	for r := range t {
		t[r] = w.reg()
		VBROADCASTSS(Mem{Base: x, Disp: 4 * r}, t[r])
		VMULPS(alpha, t[r], t[r])
	}
	a, y, left := g.first(), GP64(), GP64()
	MOVQ(y0, y)
	MOVQ(n, left)
	steps(w, left, last, []Register{a.at, y}, "done", func(v int) {
		sum := w.reg()
		VMOVUPS(Mem{Base: y, Disp: w.disp(v)}, sum)
		for r := range rows {
			p := w.reg()
			VMULPS(a.row(r, w.disp(v)), t[r], p)
			VADDPS(p, sum, sum)
		}
		VMOVUPS(sum, Mem{Base: y, Disp: w.disp(v)})
	}, func(v int) {
		sum := w.reg()
		w.loadPart(Mem{Base: y, Disp: w.disp(v)}, sum, v)
		for r := range rows {
			p := w.reg()
			w.loadPart(a.row(r, w.disp(v)), p, v)
			VMULPS(t[r], p, p)
			VADDPS(p, sum, sum)
		}
		w.storePart(sum, Mem{Base: y, Disp: w.disp(v)}, v)
	})
	ADDQ(I8(4*rows), x)
	g.next("group")
}

// begin starts a loop over the rows of a matrix.
func begin(name, doc string) {
	emit.Func(name, "func(rows, n int, alpha float32, a *float32, lda int, x, y *float32)",
		"sets "+doc+". The rows of a are lda bytes apart.", "rows is a positive multiple of 4, n any number.")
}

// groups are the rows of a matrix four by four.
type groups struct{ left, a, lda, lda3 GPVirtual }

func loadGroups() groups {
	g := groups{emit.Arg("rows"), emit.Arg("a"), emit.Arg("lda"), GP64()}
	LEAQ(Mem{Base: g.lda}.Idx(g.lda, 2), g.lda3)
	return g
}

// first is the first column of a group.
func (g groups) first() column {
	at := GP64()
	MOVQ(g.a, at)
	return column{g, at}
}

// next jumps to the next group, and returns if there is none.
func (g groups) next(label string) {
	LEAQ(Mem{Base: g.a}.Idx(g.lda, 4), g.a)
	SUBQ(I8(4), g.left)
	JG(LabelRef(label))
	emit.End()
}

// column is where a column of a group begins.
type column struct {
	groups
	at GPVirtual
}

// row is the element in row r that is disp bytes on.
func (c column) row(r, disp int) Mem {
	at := Mem{Base: c.at, Disp: disp}
	switch r {
	case 1, 2:
		return at.Idx(c.lda, uint8(r))
	case 3:
		return at.Idx(c.lda3, 1)
	}
	return at
}

// axpy emits y plus a multiple of x.
func axpy(w wide) {
	emit.Func("saxpy"+w.name(), "func(n int, alpha float32, x, y *float32)", "sets y += alpha * x for n elements, any number.")
	n, x, y := emit.Arg("n"), emit.Arg("x"), emit.Arg("y")
	alpha := w.reg()
	VBROADCASTSS(emit.Address("alpha"), alpha)
	last := w.mask(n)
	steps(w, n, last, []Register{x, y}, "done", func(v int) {
		p := w.reg()
		VMULPS(Mem{Base: x, Disp: w.disp(v)}, alpha, p)
		VADDPS(Mem{Base: y, Disp: w.disp(v)}, p, p)
		VMOVUPS(p, Mem{Base: y, Disp: w.disp(v)})
	}, func(v int) {
		p, sum := w.reg(), w.reg()
		w.loadPart(Mem{Base: x, Disp: w.disp(v)}, p, v)
		w.loadPart(Mem{Base: y, Disp: w.disp(v)}, sum, v)
		VMULPS(alpha, p, p)
		VADDPS(p, sum, sum)
		w.storePart(sum, Mem{Base: y, Disp: w.disp(v)}, v)
	})
	emit.End()
}
