// Command gemm generates the tiles of the float32 matrix product.
//
// A tile is a few rows by one, two or four vectors of C, held in registers while k runs: each step
// loads a row of B, broadcasts one element of A per row, and does one FMA per row and vector. So an
// element of C is one lane and is summed in the order of k in every tile, whatever its shape and
// the instruction set. One call computes a strip: a tile's rows of C by any number of columns.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

const (
	rows512 = 14 // 28 accumulators, 2 vectors of B, 1 broadcast of A: 31 of 32 registers
	rows2   = 6  // 12 accumulators, 2 vectors of B, 1 broadcast of A: 15 of 16 registers

	sliver = 32 // columns of B that a packed sliver holds side by side

	// The rows of B are asked for this many, 2 to the power of ahead, before their use: the processor's own prefetching stops at the end of a
	// page, where packed weights that come from memory go on, and does not find rows that are a page apart.
	ahead = 5

	// With up to quietRows rows, a packed B of at least quietK is not asked for ahead. So few rows wait for B and for nothing else; its rows
	// follow each other, where the processor finds them by itself, and sooner if requests of ours do not take the places of its own. Shorter
	// slivers may lie far from each other, as those of cached keys do: then what it finds ends too soon.
	quietRows = 6
	quietK    = 128
)

// The registers of a strip. What is not needed while k runs is reloaded from the arguments.
var (
	a, a7        = RAX, RBX      // the element of A in the strip's rows 0 and 7
	rs, rs3, rs5 = RCX, RDX, RSI // 1, 3 and 5 times the bytes between rows of A
	cs           = RDI           // bytes between columns of A
	b, bs        = R8, R9        // the row of B, and bytes to its next row
	kLeft        = R10
	bTile        = R11 // row 0 of B in this tile
	c            = R12 // row 0 of C in this tile
	n            = R13 // columns left
	tmp          = R15
)

// begin begins a strip of up to the given number of rows.
func begin(name string, most int) {
	emit.Func(name, "func(rows, cols, k int, alpha float32, a *float32, rs, cs int, b *float32, bs, ss int, acc int, c *float32, ldc int)",
		"computes rows by cols elements of C = alpha A B, or of C += alpha A B if acc is 1 and not 0.",
		"Strides are in bytes: rs and cs between the rows and columns of A, bs between the rows of B, ss between",
		"slivers of 32 columns of B, ldc between the rows of C.",
		fmt.Sprintf("rows is 1 to %d; cols and k are at least 1.", most))
	dispatch(most)
}

func main() {
	ConstraintExpr("!purego")
	strip512()
	words := emit.Words("lanes", 8, 8)
	strip2(words)
	transpose()
	narrow512()
	narrow2(words)
	Generate()
}

// elemA is the element of A in the given row of the strip.
func elemA(row int) Mem {
	base := Mem{Base: a}
	if row >= 7 {
		base, row = Mem{Base: a7}, row-7
	}
	switch row {
	case 1, 2, 4:
		return base.Idx(rs, uint8(row))
	case 3, 6:
		return base.Idx(rs3, uint8(row/3))
	case 5:
		return base.Idx(rs5, 1)
	}
	return base
}

// dispatch jumps to label "rows<r>" for the number of rows asked for; the largest first.
func dispatch(most int) {
	Load(Param("rows"), tmp)
	for r := most; r > 1; r-- {
		CMPQ(tmp, I8(r))
		JEQ(LabelRef(fmt.Sprintf("rows%d", r)))
	}
	JMP(LabelRef("rows1"))
}

// loadStrip loads what stays the same for all tiles of a strip.
func loadStrip() {
	Load(Param("rs"), rs)
	Load(Param("cs"), cs)
	Load(Param("bs"), bs)
	LEAQ(Mem{Base: rs}.Idx(rs, 2), rs3)
	LEAQ(Mem{Base: rs}.Idx(rs, 4), rs5)
	Load(Param("b"), bTile)
	Load(Param("c"), c)
	Load(Param("cols"), n)
}

// sumK emits the loop over k.
func sumK(label string, rows int, step func()) {
	Load(Param("a"), a)
	if rows > 7 {
		LEAQ(Mem{Base: a}.Idx(rs, 1), a7)
		LEAQ(Mem{Base: a7}.Idx(rs3, 2), a7)
	}
	MOVQ(bTile, b)
	Load(Param("k"), kLeft)
	Label(label)
	step()
	ADDQ(cs, a)
	if rows > 7 {
		ADDQ(cs, a7)
	}
	ADDQ(bs, b)
	DECQ(kLeft)
	JNZ(LabelRef(label))
}

func strip512() {
	begin("stripAVX512", rows512)
	for rows := rows512; rows >= 1; rows-- {
		Label(fmt.Sprintf("rows%d", rows))
		loadStrip()
		Label(fmt.Sprintf("tile%d", rows))
		if rows == 1 { // two vectors of sums are too few to keep the FMA unit busy: take two slivers at once
			CMPQ(n, I8(48))
			JLE(LabelRef("single"))
			unlessQuiet("single")
			tile512(1, 4)
			nextTile(1, 4)
			Label("single")
		}
		CMPQ(n, I8(16))
		JLE(LabelRef(fmt.Sprintf("half%d", rows)))
		tile512(rows, 2)
		nextTile(rows, 2)
		Label(fmt.Sprintf("half%d", rows))
		tile512(rows, 1)
		JMP(LabelRef("done"))
	}
	Label("done")
	emit.End()
}

// nextTile moves on to the next tile, past one of that many vectors, or to the end.
func nextTile(rows, vecs int) {
	Load(Param("ss"), tmp)
	for range vecs / 2 {
		ADDQ(tmp, bTile)
	}
	ADDQ(I32(64*vecs), c)
	SUBQ(I8(16*vecs), n)
	JG(LabelRef(fmt.Sprintf("tile%d", rows)))
	JMP(LabelRef("done"))
}

// unlessQuiet jumps if B is to be asked for ahead although the rows are few.
func unlessQuiet(label string) {
	CMPQ(bs, I32(4*sliver))
	JNE(LabelRef(label))
	CMPQ(emit.Address("k"), I32(quietK))
	JLT(LabelRef(label))
}

// tile512 emits a tile of the given rows by one, two or, where unlessQuiet did not jump, four vectors, the last of which may be in part
// outside the matrix.
func tile512(rows, vecs int) {
	acc := func(row, v int) VecPhysical { return emit.Z[vecs*row+v] }
	vecB := func(v int) VecPhysical { return emit.Z[30-vecs+v] }
	elem := emit.Z[30]
	rowB := func(v int) Mem {
		if v >= 2 {
			return Mem{Base: b, Index: tmp, Scale: 1, Disp: 64 * (v - 2)} // in the next sliver
		}
		return Mem{Base: b, Disp: 64 * v}
	}

	// K1: the lanes of the last vector inside the matrix. K2, K3: the lanes of the first and
	// the last vector to load from C; none if C is not to be read.
	MOVQ(I32(16), tmp)
	LEAQ(Mem{Base: n, Disp: -16 * (vecs - 1)}, a)
	CMPQ(a, tmp)
	CMOVQLT(a, tmp)
	MOVQ(I32(-1), a)
	BZHIQ(tmp, a, tmp)
	KMOVW(tmp.As32(), K1)
	Load(Param("acc"), tmp)
	NEGQ(tmp)
	KMOVW(tmp.As32(), K2)
	KANDW(K1, K2, K3)

	// C is often far away: ask for it now, to have it when the sums are done.
	MOVQ(c, a)
	Load(Param("ldc"), a7)
	for r := range rows {
		for v := range vecs {
			PREFETCHT0(Mem{Base: a, Disp: 64 * v})
		}
		if r < rows-1 {
			ADDQ(a7, a)
		}
	}
	for r := range rows {
		for v := range vecs {
			VPXORD(acc(r, v), acc(r, v), acc(r, v))
		}
	}
	sumTile(rows, vecs, func() {
		for v := range vecs {
			if v < vecs-1 {
				VMOVUPS(rowB(v), vecB(v))
			} else {
				VMOVUPS_Z(rowB(v), K1, vecB(v))
			}
		}
		for r := range rows {
			VBROADCASTSS(elemA(r), elem)
			for v := range vecs {
				VFMADD231PS(vecB(v), elem, acc(r, v))
			}
		}
	})

	alpha, old := emit.Z[30], vecB
	VBROADCASTSS(emit.Address("alpha"), alpha)
	MOVQ(c, a)
	Load(Param("ldc"), a7)
	for r := range rows {
		for v := range vecs {
			if v < vecs-1 {
				VMOVUPS_Z(Mem{Base: a, Disp: 64 * v}, K2, old(v))
			} else {
				VMOVUPS_Z(Mem{Base: a, Disp: 64 * v}, K3, old(v))
			}
			VFMADD231PS(alpha, acc(r, v), old(v))
			if v < vecs-1 {
				VMOVUPS(old(v), Mem{Base: a, Disp: 64 * v})
			} else {
				VMOVUPS(old(v), K1, Mem{Base: a, Disp: 64 * v})
			}
		}
		if r < rows-1 {
			ADDQ(a7, a)
		}
	}
}

// sumTile emits the loop over k of a tile, with rows of B asked for ahead where that pays. tmp is the bytes to the next sliver if step needs
// them, with four vectors.
func sumTile(rows, vecs int, step func()) {
	size := fmt.Sprintf("%dx%d", rows, vecs)
	if vecs == 4 {
		Load(Param("ss"), tmp)
		sumK("quiet"+size, rows, step)
		return
	}
	if rows <= quietRows {
		unlessQuiet("ask" + size)
		sumK("quiet"+size, rows, step)
		JMP(LabelRef("sum" + size))
		Label("ask" + size)
	}
	MOVQ(bs, tmp)
	SHLQ(U8(ahead), tmp)
	sumK("k"+size, rows, func() {
		for v := range vecs {
			PREFETCHT0(Mem{Base: b, Index: tmp, Scale: 1, Disp: 64 * v})
		}
		step()
	})
	Label("sum" + size)
}
