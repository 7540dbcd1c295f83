package emit

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Words is a table of words of ones, then of zeros: the mask of k lanes starts k words before the zeros.
func Words(name string, ones, zeros int) Mem {
	t := GLOBL(name, RODATA|NOPTR)
	for i := range ones + zeros {
		DATA(4*i, U32(map[bool]uint32{true: 0xffffffff}[i < ones]))
	}
	return t
}

// FirstLanes sets mask to the first n of eight lanes, words having eight ones. It changes n and tmp.
func FirstLanes(words Mem, n, tmp Register, mask Op) {
	NEGQ(n)
	LEAQ(words, tmp)
	VMOVUPS(Mem{Base: tmp, Index: n, Scale: 4, Disp: 32}, mask)
}

// FirstLanes512 sets mask to the first n of sixteen lanes. It changes tmp.
func FirstLanes512(n, tmp GPVirtual, mask Register) {
	MOVQ(I32(-1), tmp)
	BZHIQ(n, tmp, tmp)
	KMOVW(tmp.As32(), mask)
}

// Masks are those of two vectors of eight. Their table is put where it is first needed.
type Masks struct {
	Name  string
	table Mem
}

// Last returns the masks of the two vectors that hold the last n < 16 elements.
func (s *Masks) Last(n GPVirtual) [2]VecVirtual {
	if s.table.Base == nil {
		s.table = Words(s.Name, 8, 16)
	}
	base, at, eight := GP64(), GP64(), GP64()
	LEAQ(s.table, base)
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

// Steps emits a loop over n elements, sixteen at a time, at pointers that it moves on, then what is left of them, and the label end. left
// emits the test, equal if nothing is left; n is 16 too few there.
func Steps(n Register, pointers []Register, end string, left, whole, part func()) {
	Label("steps")
	SUBQ(I8(16), n)
	JLT(LabelRef("rest"))
	whole()
	for _, p := range pointers {
		ADDQ(I8(64), p)
	}
	JMP(LabelRef("steps"))
	Label("rest")
	left()
	JZ(LabelRef(end))
	part()
	Label(end)
}
