package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

func strip2(words Mem) {
	begin("stripAVX2", rows2)
	for rows := rows2; rows >= 1; rows-- {
		name := func(s string) string { return fmt.Sprintf("%s%d", s, rows) }
		Label(name("rows"))
		loadStrip()
		Label(name("sliver"))
		// n counts the columns left in this sliver, the argument's stack slot those left in all.
		Load(Param("cols"), n)
		MOVQ(I32(sliver), tmp)
		CMPQ(n, tmp)
		CMOVQGT(tmp, n)
		if rows <= 2 { // too few accumulators to keep the FMA units busy with two vectors
			JLT(LabelRef(name("full")))
			tile2(rows, 4, Mem{})
			ADDQ(I32(4*sliver), bTile)
			ADDQ(I32(4*sliver), c)
			JMP(LabelRef(name("next")))
		}
		Label(name("full"))
		CMPQ(n, I8(16))
		JLT(LabelRef(name("part")))
		tile2(rows, 2, Mem{})
		ADDQ(I8(64), bTile)
		ADDQ(I8(64), c)
		SUBQ(I8(16), n)
		JMP(LabelRef(name("full")))
		Label(name("part"))
		CMPQ(n, I8(0))
		JLE(LabelRef(name("next")))
		tile2(rows, 1, words)
		ADDQ(I8(32), bTile)
		ADDQ(I8(32), c)
		SUBQ(I8(8), n)
		JMP(LabelRef(name("part")))
		Label(name("next"))
		SUBQ(I8(sliver), emit.Address("cols"))
		JLE(LabelRef("done"))
		Load(Param("ss"), tmp)
		LEAQ(Mem{Base: bTile, Index: tmp, Scale: 1, Disp: -4 * sliver}, bTile)
		JMP(LabelRef(name("sliver")))
	}
	Label("done")
	emit.End()
}

// tile2 emits a tile of the given rows by two or four full vectors, or by one of which n lanes are
// inside the matrix.
func tile2(rows, vecs int, words Mem) {
	acc := func(row, v int) VecPhysical { return emit.Y[vecs*row+v] }
	vecB := func(v int) VecPhysical { return emit.Y[14-vecs+v] }
	elem := emit.Y[14]
	mask := emit.Y[15]
	if vecs == 1 {
		MOVQ(I32(8), tmp)
		CMPQ(n, tmp)
		CMOVQLT(n, tmp)
		emit.FirstLanes(words, tmp, a, mask)
	}
	for r := range rows {
		for v := range vecs {
			VXORPS(acc(r, v), acc(r, v), acc(r, v))
		}
	}
	sumK(fmt.Sprintf("k%dx%d", rows, vecs), rows, func() {
		if vecs == 1 {
			VMASKMOVPS(Mem{Base: b}, mask, vecB(0))
		} else {
			for v := range vecs {
				VMOVUPS(Mem{Base: b, Disp: 32 * v}, vecB(v))
			}
		}
		for r := range rows {
			VBROADCASTSS(elemA(r), elem)
			for v := range vecs {
				VFMADD231PS(vecB(v), elem, acc(r, v))
			}
		}
	})

	// The old C counts only under used, which is all ones or, where C must not be read, zeros.
	alpha, old, used := emit.Y[12], emit.Y[13], emit.Y[14]
	Load(Param("acc"), tmp)
	NEGQ(tmp)
	VMOVD(tmp.As32(), used.AsX())
	VPBROADCASTD(used.AsX(), used)
	VBROADCASTSS(emit.Address("alpha"), alpha)
	MOVQ(c, a)
	Load(Param("ldc"), a7)
	for r := range rows {
		for v := range vecs {
			at := Mem{Base: a, Disp: 32 * v}
			if vecs == 1 {
				VMASKMOVPS(at, mask, old)
				VANDPS(used, old, old)
			} else {
				VANDPS(at, used, old)
			}
			VFMADD231PS(alpha, acc(r, v), old)
			if vecs == 1 {
				VMASKMOVPS(old, mask, at)
			} else {
				VMOVUPS(old, at)
			}
		}
		if r < rows-1 {
			ADDQ(a7, a)
		}
	}
}
