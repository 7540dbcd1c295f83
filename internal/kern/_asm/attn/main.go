// Command attn generates the float32 row kernels of attention: passes over a strip of rows of scores, in AVX-512 and AVX2, which
// do the same operations in the same order.
//
// A row of scores has room for whole rounds of 16 lanes. Lanes past a row's last score may be read and hold anything; the kernels set them to 0.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

func main() {
	ConstraintExpr("!purego")
	tables()
	for _, i := range []isa{&avx512{}, &avx2{}} {
		softmax(i)
		scores(i)
	}
	scaleRows()
	copyRows()
	copyDotRows()
	rotateRows()
	lseRows()
	Generate()
}

// rows are the loops over a strip of rows: of n = min(seen, width) lanes, then seen grows by step.
type rows struct {
	isa
	left, seen, step, width GPVirtual
	n, full, off            GPVirtual
}

func begin(i isa, name, signature string, doc ...string) *rows {
	emit.Func(name+i.name(), "func(rows, seen, step, width int, "+signature+")", doc...)
	r := &rows{isa: i, left: emit.Arg("rows"), seen: emit.Arg("seen"), step: emit.Arg("step"), width: emit.Arg("width")}
	r.n, r.full, r.off = GP64(), GP64(), GP64()
	i.prepare()
	return r
}

// pointer is an argument, and the place of the lanes being treated in its row.
func (r *rows) pointer(name string) (p GPVirtual, at func() Mem) {
	p = emit.Arg(name)
	return p, func() Mem { return Mem{Base: p}.Idx(r.off, 4) }
}

// row starts a loop over rows.
func (r *rows) row(label string) {
	Label(label)
	MOVQ(r.seen, r.n)
	CMPQ(r.n, r.width)
	CMOVQGT(r.width, r.n)
	MOVQ(r.n, r.full)
	ANDQ(I8(-16), r.full)
	SUBQ(r.full, r.n) // lanes of the partial round
	r.tail(r.n)
}

// rounds emits a pass over the row's 16 lanes at a time; off is the lanes done.
func (r *rows) rounds(label string, whole, part func()) {
	XORQ(r.off, r.off)
	Label(label)
	CMPQ(r.off, r.full)
	JGE(LabelRef(label + "Part"))
	whole()
	ADDQ(I8(16), r.off)
	JMP(LabelRef(label))
	Label(label + "Part")
	TESTQ(r.n, r.n)
	JZ(LabelRef(label + "Done"))
	part()
	ADDQ(I8(16), r.off)
	Label(label + "Done")
}

// rest emits the clearing of the lanes from the last round to the width.
func (r *rows) rest(clear ...func() Mem) {
	zero := r.zero()
	Label("clear")
	CMPQ(r.off, r.width)
	JGE(LabelRef("cleared"))
	for _, at := range clear {
		r.store(zero, at())
	}
	ADDQ(I8(16), r.off)
	JMP(LabelRef("clear"))
	Label("cleared")
}

// end goes to the next row.
func (r *rows) end(label string, step func()) {
	step()
	ADDQ(r.step, r.seen)
	DECQ(r.left)
	JNZ(LabelRef(label))
}

func softmax(i isa) {
	r := begin(i, "softmaxRows", "p *float32, ldp int, most, sum, decay *float32",
		"takes at most 16 rows of scores p into a running softmax: of the first min(seen, width) of each, seen growing by step",
		"from row to row and at least 1, and for the greatest score m so far, p = exp(p - m), decay = exp(most - m), sum = sum * decay plus the sum",
		"of p, most = m. The rest of a row up to width is set to 0. ldp is in bytes; width may be up to a multiple of 16 that the rows have room for.")
	ldp := emit.Arg("ldp")

	// The rows' greatest scores, put into decay.
	p, at := r.pointer("p")
	to := emit.Arg("decay")
	r.row("most")
	greatest := i.constant(emit.NegInf)
	r.rounds("max", func() {
		i.each(VMAXPS, i.load(at()), greatest, greatest)
	}, func() {
		i.each(VMAXPS, i.loadTail(at(), greatest), greatest, greatest)
	})
	VMOVSS(tree(greatest, VMAXPS, VMAXSS), Mem{Base: to})
	r.end("most", func() {
		ADDQ(ldp, p)
		ADDQ(I8(4), to)
	})

	// All rows at once: the greatest so far, and what the sums lose.
	most, sum, decay := emit.Arg("most"), emit.Arg("sum"), emit.Arg("decay")
	Load(Param("rows"), r.left)
	i.tail(r.left)
	old, m := i.loadInside(Mem{Base: most}), i.loadInside(Mem{Base: decay})
	i.each(VMAXPS, old, m, m)
	i.storeInside(m, Mem{Base: most})
	i.each(VSUBPS, m, old, old)
	loss := i.exp(old)
	i.storeInside(loss, Mem{Base: decay})
	s := i.loadInside(Mem{Base: sum})
	i.each(VMULPS, loss, s, s)
	i.storeInside(s, Mem{Base: sum})

	Load(Param("p"), p)
	Load(Param("seen"), r.seen)
	r.row("exp")
	shift := i.spread(Mem{Base: most})
	acc := i.zero()
	step := func(clean bool) {
		x := i.load(at())
		i.each(VSUBPS, shift, x, x)
		x = i.exp(x)
		if clean {
			i.clearTail(x)
		}
		i.store(x, at())
		i.each(VADDPS, x, acc, acc)
	}
	r.rounds("round", func() { step(false) }, func() { step(true) })
	total := tree(acc, VADDPS, VADDSS)
	VADDSS(Mem{Base: sum}, total, total)
	VMOVSS(total, Mem{Base: sum})
	r.rest(at)
	r.end("exp", func() {
		ADDQ(ldp, p)
		ADDQ(I8(4), most)
		ADDQ(I8(4), sum)
	})
	emit.End()
}

func scores(i isa) {
	r := begin(i, "scoreRows", "p, ds *float32, ldp int, lse, delta *float32, alpha float32",
		"turns rows of scores p into softmax weights, p = exp(p - lse), and rows of their gradients ds into those of",
		"the scores, ds = p * (ds - delta) * alpha: the first min(seen, width) of each, seen growing by step from row to row and at least 1. The",
		"rest of a row up to width is set to 0. ldp is in bytes; width may be up to a multiple of 16 that the rows have room for.")
	p, atP := r.pointer("p")
	ds, atDS := r.pointer("ds")
	ldp, lse, delta := emit.Arg("ldp"), emit.Arg("lse"), emit.Arg("delta")
	alpha := i.spread(emit.Address("alpha"))
	r.row("row")
	shift, mean := i.spread(Mem{Base: lse}), i.spread(Mem{Base: delta})
	step := func(clean bool) {
		x, g := i.load(atP()), i.load(atDS())
		i.each(VSUBPS, shift, x, x)
		x = i.exp(x)
		i.each(VSUBPS, mean, g, g)
		i.each(VMULPS, x, g, g)
		i.each(VMULPS, alpha, g, g)
		if clean {
			i.clearTail(x)
			i.clearTail(g)
		}
		i.store(x, atP())
		i.store(g, atDS())
	}
	r.rounds("round", func() { step(false) }, func() { step(true) })
	r.rest(atP, atDS)
	r.end("row", func() {
		ADDQ(ldp, p)
		ADDQ(ldp, ds)
		ADDQ(I8(4), lse)
		ADDQ(I8(4), delta)
	})
	emit.End()
}
