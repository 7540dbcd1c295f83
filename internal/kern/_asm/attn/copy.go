package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

// loop emits func(rows, n int, ...) over rows of n elements. row emits what is done before the rows and to each, from the label row on; the
// advance that it returns goes to the next.
func loop(name, signature string, doc []string, row func(left, n GPVirtual) (advance func())) {
	emit.Func(name, "func(rows, n int, "+signature+")", doc...)
	left, n := emit.Arg("rows"), emit.Arg("n")
	advance := row(left, n)
	advance()
	DECQ(left)
	JNZ(LabelRef("row"))
	emit.End()
}

// columns emits a pass over n columns, some at a time.
func columns(n GPVirtual, some int, step func(off GPVirtual)) {
	off := GP64()
	XORQ(off, off)
	Label("col")
	step(off)
	ADDQ(I8(some), off)
	CMPQ(off, n)
	JLT(LabelRef("col"))
}

// ahead is how many rows before their use rows of a matrix are called into the cache: they lie too far apart for the CPU to guess.
const ahead = 8

// prefetch calls the element ahead rows from x.
func prefetch(x, ldx, off GPVirtual) {
	far := GP64()
	LEAQ(Mem{Base: x}.Idx(off, 4), far)
	PREFETCHT0(Mem{Base: far}.Idx(ldx, ahead))
}

// The rest needs no wide vectors.

func scaleRows() {
	loop("scaleRowsAsm", "dst *float32, ldd int, x *float32, ldx int, c *float32",
		[]string{"sets each row of n elements, a positive multiple of 8, to dst = x * c with a factor of its own. ldd and ldx are in bytes."},
		func(left, n GPVirtual) func() {
			dst, ldd, x, ldx, c := emit.Arg("dst"), emit.Arg("ldd"), emit.Arg("x"), emit.Arg("ldx"), emit.Arg("c")
			Label("row")
			f := YMM()
			VBROADCASTSS(Mem{Base: c}, f)
			columns(n, 8, func(off GPVirtual) {
				y := YMM()
				VMULPS(Mem{Base: x}.Idx(off, 4), f, y)
				VMOVUPS(y, Mem{Base: dst}.Idx(off, 4))
			})
			return func() {
				ADDQ(ldd, dst)
				ADDQ(ldx, x)
				ADDQ(I8(4), c)
			}
		})
}

func copyRows() {
	loop("copyRowsAsm", "dst *float32, ldd int, x *float32, ldx int",
		[]string{"copies rows of n elements, a positive multiple of 8. ldd and ldx are in bytes."},
		func(left, n GPVirtual) func() {
			dst, ldd, x, ldx := emit.Arg("dst"), emit.Arg("ldd"), emit.Arg("x"), emit.Arg("ldx")
			Label("row")
			columns(n, 8, func(off GPVirtual) {
				y := YMM()
				prefetch(x, ldx, off)
				VMOVUPS(Mem{Base: x}.Idx(off, 4), y)
				VMOVUPS(y, Mem{Base: dst}.Idx(off, 4))
			})
			return func() {
				ADDQ(ldd, dst)
				ADDQ(ldx, x)
			}
		})
}

func copyDotRows() {
	loop("copyDotRowsAsm", "dst *float32, ldd int, x *float32, ldx int, y *float32, ldy int, dot *float32",
		[]string{"copies rows of n elements, a positive multiple of 16, from x to dst, and sets dot to each row's sum of x * y, as",
			"dotAsm does. ldd, ldx and ldy are in bytes."},
		func(left, n GPVirtual) func() {
			dst, ldd, x, ldx, y, ldy, dot := emit.Arg("dst"), emit.Arg("ldd"), emit.Arg("x"), emit.Arg("ldx"), emit.Arg("y"), emit.Arg("ldy"), emit.Arg("dot")
			Label("row")
			acc := lanes{YMM(), YMM()}
			for _, a := range acc {
				VXORPS(a, a, a)
			}
			columns(n, 16, func(off GPVirtual) {
				prefetch(x, ldx, off)
				prefetch(y, ldy, off)
				for i, a := range acc {
					v, w := YMM(), YMM()
					VMOVUPS(Mem{Base: x, Disp: 32 * i}.Idx(off, 4), v)
					VMOVUPS(v, Mem{Base: dst, Disp: 32 * i}.Idx(off, 4))
					VMULPS(Mem{Base: y, Disp: 32 * i}.Idx(off, 4), v, w)
					VADDPS(w, a, a)
				}
			})
			VMOVSS(tree(acc, VADDPS, VADDSS), Mem{Base: dot})
			return func() {
				ADDQ(ldd, dst)
				ADDQ(ldx, x)
				ADDQ(ldy, y)
				ADDQ(I8(4), dot)
			}
		})
}

// rotateRows takes half a row for n.
func rotateRows() {
	for _, back := range []bool{false, true} {
		name, doc := "rotateRowsAsm", "turned"
		if back {
			name, doc = "rotateRowsBackAsm", "turned back"
		}
		loop(name, "dst *float32, ldd int, x *float32, ldx int, rope *float32",
			[]string{fmt.Sprintf("sets rows of dst to those of x %s by those of rope, as rotateAsm does; n, half of a row, is a positive", doc),
				"multiple of 8. ldd and ldx are in bytes; rows of rope are of 2n elements."},
			func(left, n GPVirtual) func() {
				dst, ldd, x, ldx, rope := emit.Arg("dst"), emit.Arg("ldd"), emit.Arg("x"), emit.Arg("ldx"), emit.Arg("rope")
				dst1, x1, rope1 := GP64(), GP64(), GP64()
				Label("row")
				LEAQ(Mem{Base: dst}.Idx(n, 4), dst1)
				LEAQ(Mem{Base: x}.Idx(n, 4), x1)
				LEAQ(Mem{Base: rope}.Idx(n, 4), rope1)
				columns(n, 8, func(off GPVirtual) {
					prefetch(x, ldx, off)
					prefetch(x1, ldx, off)
					load := func(base GPVirtual) VecVirtual {
						y := YMM()
						VMOVUPS(Mem{Base: base}.Idx(off, 4), y)
						return y
					}
					a, b, cos, sin := load(x), load(x1), load(rope), load(rope1)
					a, b = emit.Rotate(a, b, cos, sin, back)
					VMOVUPS(a, Mem{Base: dst}.Idx(off, 4))
					VMOVUPS(b, Mem{Base: dst1}.Idx(off, 4))
				})
				return func() {
					ADDQ(ldd, dst)
					ADDQ(ldx, x)
					LEAQ(Mem{Base: rope}.Idx(n, 8), rope)
				}
			})
	}
}

// lseRows takes the logarithm as e ln 2 + log m, with m = sum / 2^e within a factor of sqrt 2 of 1 and log m = 2 artanh(s), s = (m-1)/(m+1):
// the series up to s^9, which leaves less than 2e-9 of the value.
func lseRows() {
	consts := GLOBL("attnLog", RODATA|NOPTR)
	bits := math.Float32bits
	v := []uint32{bits(float32(math.Sqrt(0.5))), bits(1), bits(math.Ln2), bits(2.0 / 9), bits(2.0 / 7), bits(2.0 / 5), bits(2.0 / 3), bits(2)}
	for i, x := range v {
		DATA(4*i, U32(x))
	}
	emit.Func("lseRowsAsm", "func(n int, dst, most, sum *float32)", "sets dst = most + log(sum) for n elements, a positive multiple of 8; sum is at least 1, or NaN.")
	n, dst, most, sum, t := emit.Arg("n"), emit.Arg("dst"), emit.Arg("most"), emit.Arg("sum"), GP64()
	LEAQ(consts, t)
	c := make([]VecVirtual, len(v))
	for i := range c {
		c[i] = YMM()
		VBROADCASTSS(Mem{Base: t, Disp: 4 * i}, c[i])
	}
	columns(n, 8, func(off GPVirtual) {
		x, e, m, s, z, p := YMM(), YMM(), YMM(), YMM(), YMM(), YMM()
		VMOVUPS(Mem{Base: sum}.Idx(off, 4), x)
		VPSUBD(c[0], x, e)
		VPSRAD(U8(23), e, e)
		VPSLLD(U8(23), e, m)
		VPSUBD(m, x, m)
		VCVTDQ2PS(e, e)
		VADDPS(c[1], m, s)
		VSUBPS(c[1], m, m)
		VDIVPS(s, m, s)
		VMULPS(s, s, z)
		VMOVAPS(c[3], p)
		for _, next := range c[4:] {
			VFMADD213PS(next, z, p)
		}
		VMULPS(s, p, p)
		VFMADD231PS(c[2], e, p)
		VSUBPS(x, x, x) // 0 or NaN
		VADDPS(x, p, p)
		VADDPS(Mem{Base: most}.Idx(off, 4), p, p)
		VMOVUPS(p, Mem{Base: dst}.Idx(off, 4))
	})
	emit.End()
}
