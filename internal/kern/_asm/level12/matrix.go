package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rowsTimes emits y plus a multiple of the products of rows and a vector, four rows at a time.
func rowsTimes(w wide) {
	const rows = 4
	begin("rowsTimes"+w.name(), "y[i] += alpha * the sum of a[i][j] * x[j] over n columns j")
	n, x0 := GP64(), GP64()
	Load(Param("n"), n)
	Load(Param("x"), x0)
	g := loadGroups()
	y := Load(Param("y"), GP64())
	alpha := XMM()
	VBROADCASTSS(param("alpha"), alpha)
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
	Label("steps")
	SUBQ(I8(16), left)
	JLT(LabelRef("rest"))
	for v := range w.vecs() {
		xv := w.reg()
		VMOVUPS(Mem{Base: x, Disp: w.disp(v)}, xv)
		for r := range rows {
			t := w.reg()
			VMULPS(a.row(r, w.disp(v)), xv, t)
			VADDPS(t, acc[r][v], acc[r][v])
		}
	}
	ADDQ(I8(64), a.at)
	ADDQ(I8(64), x)
	JMP(LabelRef("steps"))
	Label("rest")
	TESTQ(last, last)
	JZ(LabelRef("tree"))
	for v := range w.vecs() {
		xv := w.reg()
		w.loadPart(Mem{Base: x, Disp: w.disp(v)}, xv, v)
		for r := range rows {
			t := w.reg()
			w.loadPart(a.row(r, w.disp(v)), t, v)
			VMULPS(xv, t, t)
			VADDPS(t, acc[r][v], acc[r][v])
		}
	}
	Label("tree")
	sums := join(acc)
	VMULPS(alpha, sums, sums)
	VADDPS(Mem{Base: y}, sums, sums)
	VMOVUPS(sums, Mem{Base: y})
	ADDQ(I8(4*rows), y)
	g.next("group")
}

// join joins the sixteen lanes of each of four rows 8, 4, 2 and 1 apart, and returns the four sums.
func join(acc [4][]VecVirtual) VecVirtual {
	var four [4]Register // lanes 0 to 3 of each row
	for r, v := range acc {
		y, x, hi := v[0].AsY(), v[0].AsX(), XMM()
		if len(v) == 1 {
			half := YMM()
			VEXTRACTF64X4(U8(1), v[0], half)
			VADDPS(half, y, y)
		} else {
			VADDPS(v[1], y, y)
		}
		VEXTRACTF128(U8(1), y, hi)
		VADDPS(hi, x, x)
		four[r] = x
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
	n, y0 := GP64(), GP64()
	Load(Param("n"), n)
	Load(Param("y"), y0)
	g := loadGroups()
	x := Load(Param("x"), GP64())
	alpha := w.reg()
	VBROADCASTSS(param("alpha"), alpha)
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
	Label("steps")
	SUBQ(I8(16), left)
	JLT(LabelRef("rest"))
	for v := range w.vecs() {
		sum := w.reg()
		VMOVUPS(Mem{Base: y, Disp: w.disp(v)}, sum)
		for r := range rows {
			p := w.reg()
			VMULPS(a.row(r, w.disp(v)), t[r], p)
			VADDPS(p, sum, sum)
		}
		VMOVUPS(sum, Mem{Base: y, Disp: w.disp(v)})
	}
	ADDQ(I8(64), a.at)
	ADDQ(I8(64), y)
	JMP(LabelRef("steps"))
	Label("rest")
	TESTQ(last, last)
	JZ(LabelRef("done"))
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
	ADDQ(I8(4*rows), x)
	g.next("group")
}

// begin starts a loop over the rows of a matrix.
func begin(name, doc string) {
	TEXT(name, NOSPLIT, "func(rows, n int, alpha float32, a *float32, lda int, x, y *float32)")
	Doc(name+" sets "+doc+". The rows of a are lda bytes apart.", "rows is a positive multiple of 4, n any number.")
	Pragma("noescape")
}

// groups are the rows of a matrix four by four.
type groups struct{ left, a, lda, lda3 GPVirtual }

func loadGroups() groups {
	g := groups{GP64(), GP64(), GP64(), GP64()}
	Load(Param("rows"), g.left)
	Load(Param("a"), g.a)
	Load(Param("lda"), g.lda)
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
	VZEROUPPER()
	RET()
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
	TEXT("saxpy"+w.name(), NOSPLIT, "func(n int, alpha float32, x, y *float32)")
	Doc("saxpy" + w.name() + " sets y += alpha * x for n elements, any number.")
	Pragma("noescape")
	n := GP64()
	Load(Param("n"), n)
	x, y := Load(Param("x"), GP64()), Load(Param("y"), GP64())
	alpha := w.reg()
	VBROADCASTSS(param("alpha"), alpha)
	last := w.mask(n)
	Label("steps")
	SUBQ(I8(16), n)
	JLT(LabelRef("rest"))
	for v := range w.vecs() {
		p := w.reg()
		VMULPS(Mem{Base: x, Disp: w.disp(v)}, alpha, p)
		VADDPS(Mem{Base: y, Disp: w.disp(v)}, p, p)
		VMOVUPS(p, Mem{Base: y, Disp: w.disp(v)})
	}
	ADDQ(I8(64), x)
	ADDQ(I8(64), y)
	JMP(LabelRef("steps"))
	Label("rest")
	TESTQ(last, last)
	JZ(LabelRef("done"))
	for v := range w.vecs() {
		p, sum := w.reg(), w.reg()
		w.loadPart(Mem{Base: x, Disp: w.disp(v)}, p, v)
		w.loadPart(Mem{Base: y, Disp: w.disp(v)}, sum, v)
		VMULPS(alpha, p, p)
		VADDPS(p, sum, sum)
		w.storePart(sum, Mem{Base: y, Disp: w.disp(v)}, v)
	}
	Label("done")
	VZEROUPPER()
	RET()
}
