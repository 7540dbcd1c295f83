// Command exp generates the float32 exponential in AVX-512 and AVX2, the same operations in the
// same order in both.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

func main() {
	ConstraintExpr("!purego")
	words := emit.Words("lanes", 8, 8)
	table := emit.NewTable("expTable", append([]emit.Number{emit.Log2e, emit.Round, emit.Ln2Hi, emit.Ln2Lo, emit.Low, emit.High, emit.Inf},
		emit.Coefficients()...)...)
	exp512(table)
	exp2(table, words)
	Generate()
}

// The arguments, and a register for the rest.
var n, dst, src, tmp = RCX, RDI, RSI, RAX

func begin(name string) {
	emit.Func(name, "func(n int, dst, src *float32)", "sets dst[i] = e^src[i] for i in [0, n); see Exp.")
	Load(Param("n"), n)
	Load(Param("dst"), dst)
	Load(Param("src"), src)
}

// loop emits the loop over vectors of some lanes, then the part of a vector that is left.
func loop(lanes int, whole, part func()) {
	Label("loop")
	SUBQ(I8(lanes), n)
	JL(LabelRef("tail"))
	whole()
	ADDQ(I8(4*lanes), src)
	ADDQ(I8(4*lanes), dst)
	JMP(LabelRef("loop"))
	Label("tail")
	ADDQ(I8(lanes), n)
	JZ(LabelRef("done"))
	part()
	Label("done")
	emit.End()
}

func exp512(table emit.Table) {
	begin("expAVX512")
	LEAQ(table.Mem, tmp)
	c := table.Load512(tmp, emit.Z[8:])
	MOVQ(I32(-1), tmp)
	KMOVW(tmp.As32(), K1)
	body := func() {
		x, y, t, r, p := Z0, Z1, Z2, Z3, Z4
		VMOVUPS_Z(Mem{Base: src}, K1, x)
		VMINPS(c(emit.High), x, y)
		VMAXPS(c(emit.Low), y, y)
		emit.Exp(VMOVAPS, c, y, t, r, p)
		emit.TimesPowerOf2(t, p)
		VCMPPS(emit.GreaterEqual, c(emit.Low), x, K2)
		VMOVAPS_Z(p, K2, p)
		VCMPPS(emit.Greater, c(emit.High), x, K3)
		VMOVAPS(c(emit.Inf), K3, p)
		VCMPPS(emit.Unordered, x, x, K4) // x is NaN
		VADDPS(x, x, K4, p)
		VMOVUPS(p, K1, Mem{Base: dst})
	}
	loop(16, body, func() {
		MOVQ(I32(1), tmp)
		SHLQ(CL, tmp)
		DECQ(tmp)
		KMOVW(tmp.As32(), K1)
		body()
	})
}

func exp2(table emit.Table, words Mem) {
	begin("expAVX2")
	LEAQ(table.Mem, tmp)
	c := func(c emit.Number) Op { return table.At(c, tmp) }
	mask := Y15
	x, y, t, r, p := Y0, Y1, Y2, Y3, Y4
	body := func() {
		VMINPS(c(emit.High), x, y)
		VMAXPS(c(emit.Low), y, y)
		emit.Exp(VMOVUPS, c, y, t, r, p)
		emit.TimesPowerOf2(t, p)
		VCMPPS(emit.GreaterEqual, c(emit.Low), x, r)
		VANDPS(r, p, p)
		VCMPPS(emit.Greater, c(emit.High), x, r)
		VBLENDVPS(r, c(emit.Inf), p, p)
		VCMPPS(emit.Unordered, x, x, r) // x is NaN
		VADDPS(x, x, x)
		VBLENDVPS(r, x, p, p)
	}
	loop(8, func() {
		VMOVUPS(Mem{Base: src}, x)
		body()
		VMOVUPS(p, Mem{Base: dst})
	}, func() {
		emit.FirstLanes(words, n, RDX, mask)
		VMASKMOVPS(Mem{Base: src}, mask, x)
		body()
		VMASKMOVPS(p, mask, Mem{Base: dst})
	})
}
