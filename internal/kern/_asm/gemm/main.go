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
)

const (
	rows512 = 14 // 28 accumulators, 2 vectors of B, 1 broadcast of A: 31 of 32 registers
	rows2   = 6  // 12 accumulators, 2 vectors of B, 1 broadcast of A: 15 of 16 registers

	sliver = 32 // columns of B that a packed sliver holds side by side

	// Products of few rows read packed weights at the speed of memory, which the processor's own prefetching, page by page, does not
	// reach.
	prefetchRows  = 13
	prefetchAhead = 4096 // bytes
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

// describe documents a strip of up to the given number of rows.
func describe(name string, most int) {
	Doc(name+" computes rows by cols elements of C = alpha A B, or of C += alpha A B if acc is 1 and not 0.",
		"Strides are in bytes: rs and cs between the rows and columns of A, bs between the rows of B, ss between",
		"slivers of 32 columns of B, ldc between the rows of C.",
		fmt.Sprintf("rows is 1 to %d; cols and k are at least 1.", most))
	Pragma("noescape")
}

const signature = "func(rows, cols, k int, alpha float32, a *float32, rs, cs int, b *float32, bs, ss int, acc int, c *float32, ldc int)"

func main() {
	ConstraintExpr("!purego")
	strip512()
	masks := laneMasks()
	strip2(masks)
	transpose()
	narrow512()
	narrow2(masks)
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
	TEXT("stripAVX512", NOSPLIT, signature)
	describe("stripAVX512", rows512)
	dispatch(rows512)
	for rows := rows512; rows >= 1; rows-- {
		Label(fmt.Sprintf("rows%d", rows))
		loadStrip()
		Label(fmt.Sprintf("tile%d", rows))
		CMPQ(n, I8(16))
		JLE(LabelRef(fmt.Sprintf("half%d", rows)))
		tile512(rows, 2)
		Load(Param("ss"), tmp)
		ADDQ(tmp, bTile)
		ADDQ(I32(4*sliver), c)
		SUBQ(I8(sliver), n)
		JG(LabelRef(fmt.Sprintf("tile%d", rows)))
		JMP(LabelRef("done"))
		Label(fmt.Sprintf("half%d", rows))
		tile512(rows, 1)
		JMP(LabelRef("done"))
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// tile512 emits a tile of the given rows by one or two vectors, the last of which may be in part
// outside the matrix.
func tile512(rows, vecs int) {
	acc := func(row, v int) VecPhysical { return zmm[vecs*row+v] }
	vecB := func(v int) VecPhysical { return zmm[28+v] }
	elem := zmm[30]

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

	for r := range rows {
		for v := range vecs {
			VPXORD(acc(r, v), acc(r, v), acc(r, v))
		}
	}
	sumK(fmt.Sprintf("k%dx%d", rows, vecs), rows, func() {
		if rows <= prefetchRows && vecs == 2 {
			for v := range vecs {
				PREFETCHT0(Mem{Base: b, Disp: prefetchAhead + 64*v})
			}
		}
		for v := range vecs {
			if v < vecs-1 {
				VMOVUPS(Mem{Base: b, Disp: 64 * v}, vecB(v))
			} else {
				VMOVUPS_Z(Mem{Base: b, Disp: 64 * v}, K1, vecB(v))
			}
		}
		for r := range rows {
			VBROADCASTSS(elemA(r), elem)
			for v := range vecs {
				VFMADD231PS(vecB(v), elem, acc(r, v))
			}
		}
	})

	alpha, old := zmm[30], func(v int) VecPhysical { return zmm[28+v] }
	VBROADCASTSS(NewParamAddr("alpha", 24), alpha)
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

// laneMasks are eight words of ones, then eight of zeros.
func laneMasks() Mem {
	masks := GLOBL("lanes", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(map[bool]uint32{true: 0xffffffff}[i < 8]))
	}
	return masks
}

func strip2(masks Mem) {
	TEXT("stripAVX2", NOSPLIT, signature)
	describe("stripAVX2", rows2)
	dispatch(rows2)
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
		tile2(rows, 1, masks)
		ADDQ(I8(32), bTile)
		ADDQ(I8(32), c)
		SUBQ(I8(8), n)
		JMP(LabelRef(name("part")))
		Label(name("next"))
		SUBQ(I8(sliver), NewParamAddr("cols", 8))
		JLE(LabelRef("done"))
		Load(Param("ss"), tmp)
		LEAQ(Mem{Base: bTile, Index: tmp, Scale: 1, Disp: -4 * sliver}, bTile)
		JMP(LabelRef(name("sliver")))
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// tile2 emits a tile of the given rows by two or four full vectors, or by one of which n lanes are
// inside the matrix.
func tile2(rows, vecs int, masks Mem) {
	acc := func(row, v int) VecPhysical { return ymm[vecs*row+v] }
	vecB := func(v int) VecPhysical { return ymm[14-vecs+v] }
	elem := ymm[14]
	mask := ymm[15]
	if vecs == 1 {
		MOVQ(I32(8), tmp)
		CMPQ(n, tmp)
		CMOVQLT(n, tmp)
		NEGQ(tmp)
		LEAQ(masks, a)
		VMOVUPS(Mem{Base: a, Index: tmp, Scale: 4, Disp: 32}, mask)
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
	alpha, old, used := ymm[12], ymm[13], ymm[14]
	Load(Param("acc"), tmp)
	NEGQ(tmp)
	VMOVD(tmp.As32(), used.AsX())
	VPBROADCASTD(used.AsX(), used)
	VBROADCASTSS(NewParamAddr("alpha", 24), alpha)
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

// transpose emits the packing of eight rows of a matrix into eight columns of a sliver.
func transpose() {
	TEXT("transpose8AVX2", NOSPLIT, "func(k int, dst, src *float32, ld int)")
	Doc("transpose8AVX2 sets dst[32*p+j] = src[j][p] for p in [0, k), j in [0, 8).",
		"k is a positive multiple of 8; ld is the bytes between the rows of src.")
	Pragma("noescape")
	src, src4, ld, ld3, dst := RAX, RBX, RCX, RDX, RDI
	Load(Param("k"), kLeft)
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("ld"), ld)
	LEAQ(Mem{Base: ld}.Idx(ld, 2), ld3)
	LEAQ(Mem{Base: src}.Idx(ld, 4), src4)
	Label("block")
	// Rows j and j+4 share a register: their first four elements in one, the next four in another.
	row := func(j int) Mem {
		switch j {
		case 1, 2:
			return Mem{Base: src}.Idx(ld, uint8(j))
		case 3:
			return Mem{Base: src}.Idx(ld3, 1)
		}
		return Mem{Base: src}
	}
	row4 := func(j int) Mem {
		m := row(j)
		m.Base = src4
		return m
	}
	for j := range 4 {
		for half := range 2 {
			y := ymm[4*half+j]
			VMOVUPS(row(j).Offset(16*half), y.AsX())
			VINSERTF128(I8(1), row4(j).Offset(16*half), y, y)
		}
	}
	for half := range 2 {
		in := func(j int) VecPhysical { return ymm[4*half+j] }
		VUNPCKLPS(in(1), in(0), Y8)  // rows 0 1 0 1 of elements 0 0 1 1
		VUNPCKHPS(in(1), in(0), Y9)  // of elements 2 2 3 3
		VUNPCKLPS(in(3), in(2), Y10) // rows 2 3 2 3
		VUNPCKHPS(in(3), in(2), Y11)
		VUNPCKLPD(Y10, Y8, Y12)
		VUNPCKHPD(Y10, Y8, Y13)
		VUNPCKLPD(Y11, Y9, Y14)
		VUNPCKHPD(Y11, Y9, Y15)
		for i, y := range []VecPhysical{Y12, Y13, Y14, Y15} {
			VMOVUPS(y, Mem{Base: dst, Disp: 4 * sliver * (4*half + i)})
		}
	}
	ADDQ(I8(32), src)
	ADDQ(I8(32), src4)
	ADDQ(I32(8*4*sliver), dst)
	SUBQ(I8(8), kLeft)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// loopRows emits a loop over k that moves one short row at src, ld bytes apart, to dst, step bytes apart, with move.
func loopRows(step int, move func(src, dst Mem)) {
	src, dst, ld := GP64(), GP64(), GP64()
	Load(Param("k"), kLeft)
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("ld"), ld)
	Label("row")
	move(Mem{Base: src}, Mem{Base: dst})
	ADDQ(ld, src)
	ADDQ(I32(step), dst)
	DECQ(kLeft)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// narrow512 emits the copy of up to 16 columns of a matrix to rows of 16.
func narrow512() {
	TEXT("narrowAVX512", NOSPLIT, "func(k, cols int, dst, src *float32, ld int)")
	Doc("narrowAVX512 sets dst[16*p+j] = src[p][j] for p in [0, k), j in [0, cols), and to 0 for j in [cols, 16).",
		"k is at least 1, cols 1 to 16; ld is the bytes between the rows of src.")
	Pragma("noescape")
	cols, mask := GP64(), GP64()
	Load(Param("cols"), cols)
	MOVQ(I32(-1), mask)
	BZHIQ(cols, mask, mask)
	KMOVW(mask.As32(), K1)
	loopRows(64, func(src, dst Mem) {
		VMOVUPS_Z(src, K1, Z0)
		VMOVUPS(Z0, dst)
	})
}

// narrow2 emits the copy of up to 8 columns of a matrix to rows of 8.
func narrow2(masks Mem) {
	TEXT("narrowAVX2", NOSPLIT, "func(k, cols int, dst, src *float32, ld int)")
	Doc("narrowAVX2 sets dst[8*p+j] = src[p][j] for p in [0, k), j in [0, cols), and to 0 for j in [cols, 8).",
		"k is at least 1, cols 1 to 8; ld is the bytes between the rows of src.")
	Pragma("noescape")
	cols, at := GP64(), GP64()
	Load(Param("cols"), cols)
	NEGQ(cols)
	LEAQ(masks, at)
	VMOVUPS(Mem{Base: at, Index: cols, Scale: 4, Disp: 32}, Y1)
	loopRows(32, func(src, dst Mem) {
		VMASKMOVPS(src, Y1, Y0)
		VMOVUPS(Y0, dst)
	})
}

var zmm = []VecPhysical{
	Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
}

var ymm = []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}
