package emit

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Reduction emits func(n int, pointers... *float32) float32 over sixteen lanes that start from 0: step takes eight elements of each pointer,
// and may change them, into eight lanes. constants are what it needs before the loop, or nil.
func Reduction(masks *Masks, name, doc string, pointers []string, constants func(), step func(acc VecVirtual, x []VecVirtual), join, last func(...Op)) {
	n, ptrs := BeginReduction(name, doc, pointers, "float32")
	if constants != nil {
		constants()
	}
	acc := []VecVirtual{YMM(), YMM()}
	for _, a := range acc {
		VXORPS(a, a, a)
	}
	elements := func(load func(p Mem, y VecVirtual), i int) {
		var x []VecVirtual
		for _, p := range ptrs {
			x = append(x, YMM())
			load(Mem{Base: p, Disp: 32 * i}, x[len(x)-1])
		}
		step(acc[i], x)
	}
	Sixteens(n, ptrs, func() {
		for i := range acc {
			elements(func(p Mem, y VecVirtual) { VMOVUPS(p, y) }, i)
		}
	}, func() {
		for i, m := range masks.Last(n) {
			elements(func(p Mem, y VecVirtual) { VMASKMOVPS(p, m, y) }, i)
		}
	})
	join(acc[1], acc[0], acc[0])
	Store(Tree(acc[0], join, last), ReturnIndex(0))
	End()
}

// BeginReduction begins func(n int, pointers... *float32) result.
func BeginReduction(name, doc string, pointers []string, result string) (n GPVirtual, ptrs []Register) {
	Func(name, Signature(pointers, nil)+" "+result, "returns "+doc+" over n elements, any number.")
	n = Arg("n")
	for _, p := range pointers {
		ptrs = append(ptrs, Arg(p))
	}
	return n, ptrs
}

// Sixteens is Steps of a reduction: n is what is left.
func Sixteens(n GPVirtual, pointers []Register, whole, part func()) {
	Steps(n, pointers, "tree", func() { ADDQ(I8(16), n) }, whole, part)
}

// Four joins eight lanes 4 apart, into the lowest four.
func Four(x VecVirtual, join func(...Op)) Register {
	lo, hi := x.AsX(), XMM()
	VEXTRACTF128(U8(1), x.AsY(), hi)
	join(hi, lo, lo)
	return lo
}

// Tree joins eight lanes 4, 2 and 1 apart, into the lowest; last is join of one lane.
func Tree(x VecVirtual, join, last func(...Op)) Register {
	lo, hi := Four(x, join), XMM()
	VPERMILPS(U8(0b1110), lo, hi)
	join(hi, lo, lo)
	VPERMILPS(U8(1), lo, hi)
	last(hi, lo, lo)
	return lo
}
