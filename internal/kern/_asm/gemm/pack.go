package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

// transpose emits the packing of eight rows of a matrix into eight columns of a sliver.
func transpose() {
	emit.Func("transpose8AVX2", "func(k int, dst, src *float32, ld int)",
		"sets dst[32*p+j] = src[j][p] for p in [0, k), j in [0, 8).",
		"k is a positive multiple of 8; ld is the bytes between the rows of src.")
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
			y := emit.Y[4*half+j]
			VMOVUPS(row(j).Offset(16*half), y.AsX())
			VINSERTF128(I8(1), row4(j).Offset(16*half), y, y)
		}
	}
	for half := range 2 {
		in := func(j int) VecPhysical { return emit.Y[4*half+j] }
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
	emit.End()
}

func narrow512() {
	narrow("narrowAVX512", 16, func(cols, tmp GPVirtual) { emit.FirstLanes512(cols, tmp, K1) }, func(row Mem) Op {
		VMOVUPS_Z(row, K1, Z0)
		return Z0
	})
}

func narrow2(words Mem) {
	narrow("narrowAVX2", 8, func(cols, tmp GPVirtual) { emit.FirstLanes(words, cols, tmp, Y1) }, func(row Mem) Op {
		VMASKMOVPS(row, Y1, Y0)
		return Y0
	})
}

// narrow emits the copy of up to so many columns of a matrix to rows of so many: mask is for the first cols lanes, load loads them.
func narrow(name string, lanes int, mask func(cols, tmp GPVirtual), load func(row Mem) Op) {
	emit.Func(name, "func(k, cols int, dst, src *float32, ld int)",
		fmt.Sprintf("sets dst[%d*p+j] = src[p][j] for p in [0, k), j in [0, cols), and to 0 for j in [cols, %[1]d).", lanes),
		fmt.Sprintf("k is at least 1, cols 1 to %d; ld is the bytes between the rows of src.", lanes))
	cols, tmp := GP64(), GP64()
	Load(Param("cols"), cols)
	mask(cols, tmp)
	src, dst, ld := GP64(), GP64(), GP64()
	Load(Param("k"), kLeft)
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("ld"), ld)
	Label("row")
	VMOVUPS(load(Mem{Base: src}), Mem{Base: dst})
	ADDQ(ld, src)
	ADDQ(I32(4*lanes), dst)
	DECQ(kLeft)
	JNZ(LabelRef("row"))
	emit.End()
}
