package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/tame-rlhf/tame/internal/kern/_asm/emit"
)

// loop is an element-wise kernel under construction.
type loop struct {
	n      GPVirtual
	off    GPVirtual // bytes done
	ptrs   map[string]Register
	consts map[string]VecVirtual
}

// begin starts func(n int, pointers..., consts...), the consts spread over vectors.
func begin(name, doc string, pointers, consts []string) *loop {
	emit.Func(name, emit.Signature(pointers, consts), "sets "+doc+" for n elements, a positive multiple of 8.")
	l := &loop{n: GP64(), off: GP64(), ptrs: map[string]Register{}, consts: map[string]VecVirtual{}}
	Load(Param("n"), l.n)
	for _, p := range pointers {
		l.ptrs[p] = emit.Arg(p)
	}
	for _, c := range consts {
		l.consts[c] = emit.Spread(c)
	}
	return l
}

// mem is eight elements of a pointer, the i-th vector of the step.
func (l *loop) mem(p string, i int) Mem {
	return Mem{Base: l.ptrs[p], Disp: 32 * i}.Idx(l.off, 1)
}

// load is those elements in a register.
func (l *loop) load(p string, i int) VecVirtual {
	y := YMM()
	VMOVUPS(l.mem(p, i), y)
	return y
}

// run emits the loop: unroll vectors a step, then one.
func (l *loop) run(unroll int, step func(i int)) {
	XORQ(l.off, l.off)
	if unroll > 1 {
		Label("steps")
		CMPQ(l.n, I32(8*unroll))
		JLT(LabelRef("single"))
		for i := range unroll {
			step(i)
		}
		ADDQ(I32(32*unroll), l.off)
		SUBQ(I32(8*unroll), l.n)
		JMP(LabelRef("steps"))
	}
	Label("single")
	if unroll > 1 {
		CMPQ(l.n, I8(8))
		JLT(LabelRef("done"))
	}
	step(0)
	ADDQ(I8(32), l.off)
	SUBQ(I8(8), l.n)
	JG(LabelRef("single"))
	Label("done")
	emit.End()
}

func elementwise() {
	l := begin("addAsm", "dst = a + b", []string{"dst", "a", "b"}, nil)
	l.run(4, func(i int) {
		y := l.load("a", i)
		VADDPS(l.mem("b", i), y, y)
		VMOVUPS(y, l.mem("dst", i))
	})
	l = begin("addConstAsm", "dst = x + c", []string{"dst", "x"}, []string{"c"})
	l.run(4, func(i int) {
		y := YMM()
		VADDPS(l.mem("x", i), l.consts["c"], y)
		VMOVUPS(y, l.mem("dst", i))
	})
	l = begin("mulConstAsm", "dst = x * c", []string{"dst", "x"}, []string{"c"})
	l.run(4, func(i int) {
		y := YMM()
		VMULPS(l.mem("x", i), l.consts["c"], y)
		VMOVUPS(y, l.mem("dst", i))
	})
	l = begin("axpyAsm", "dst += alpha * x", []string{"dst", "x"}, []string{"alpha"})
	l.run(4, func(i int) {
		y := YMM()
		VMULPS(l.mem("x", i), l.consts["alpha"], y)
		VADDPS(l.mem("dst", i), y, y)
		VMOVUPS(y, l.mem("dst", i))
	})
	l = begin("mulAxpyAsm", "dst += a * b * alpha", []string{"dst", "a", "b"}, []string{"alpha"})
	l.run(4, func(i int) {
		y := l.load("a", i)
		VMULPS(l.mem("b", i), y, y)
		VMULPS(l.consts["alpha"], y, y)
		VADDPS(l.mem("dst", i), y, y)
		VMOVUPS(y, l.mem("dst", i))
	})
	l = begin("scaleMulAsm", "dst = x * alpha * w", []string{"dst", "x", "w"}, []string{"alpha"})
	l.run(4, func(i int) {
		y := YMM()
		VMULPS(l.mem("x", i), l.consts["alpha"], y)
		VMULPS(l.mem("w", i), y, y)
		VMOVUPS(y, l.mem("dst", i))
	})
	l = begin("entropyBackwardAsm", "z = p * (a + b*(z+h))", []string{"z", "p"}, []string{"a", "b", "h"})
	l.run(4, func(i int) {
		y := YMM()
		VADDPS(l.mem("z", i), l.consts["h"], y)
		VMULPS(l.consts["b"], y, y)
		VADDPS(l.consts["a"], y, y)
		VMULPS(l.mem("p", i), y, y)
		VMOVUPS(y, l.mem("z", i))
	})
}

// ones is a vector of 1.
func ones() VecVirtual {
	y := YMM()
	VPCMPEQD(y, y, y)
	VPSRLD(U8(25), y, y)
	VPSLLD(U8(23), y, y)
	return y
}

func gates() {
	l := begin("gateAsm", "out = gate / (1 + e) * up", []string{"out", "gate", "up", "e"}, nil)
	one := ones()
	l.run(2, func(i int) {
		den, y := YMM(), l.load("gate", i)
		VADDPS(l.mem("e", i), one, den)
		VDIVPS(den, y, y)
		VMULPS(l.mem("up", i), y, y)
		VMOVUPS(y, l.mem("out", i))
	})
	l = begin("gateBackwardAsm", "dgate and dup, the derivative of gateAsm with e = exp(-gate),", []string{"dgate", "dup", "gate", "up", "e", "dout"}, nil)
	one = ones()
	l.run(1, func(i int) {
		s, g, ds, t := YMM(), l.load("gate", i), YMM(), YMM()
		VADDPS(l.mem("e", i), one, s)
		VDIVPS(s, one, s)
		VMULPS(l.mem("dout", i), s, ds)
		VSUBPS(s, one, t)
		VMULPS(g, t, t)
		VADDPS(one, t, t)
		VMULPS(ds, g, g)
		VMULPS(l.mem("up", i), ds, ds)
		VMULPS(t, ds, ds)
		VMOVUPS(ds, l.mem("dgate", i))
		VMOVUPS(g, l.mem("dup", i))
	})
}

// rotations emits the two directions of a rotary position; n is half a head.
func rotations() {
	for _, back := range []bool{false, true} {
		name, doc := "rotateAsm", "dst0 and dst1 to the pairs x0, x1 turned by cos, sin"
		if back {
			name, doc = "rotateBackAsm", "dst0 and dst1 to the pairs x0, x1 turned back by cos, sin"
		}
		l := begin(name, doc, []string{"dst0", "dst1", "x0", "x1", "cos", "sin"}, nil)
		l.run(1, func(i int) {
			a, b, cos, sin := l.load("x0", i), l.load("x1", i), l.load("cos", i), l.load("sin", i)
			a, b = emit.Rotate(a, b, cos, sin, back)
			VMOVUPS(a, l.mem("dst0", i))
			VMOVUPS(b, l.mem("dst1", i))
		})
	}
}

// adamW takes the gradient as "grad": an argument g would name a register of the assembler.
func adamW() {
	l := begin("adamWAsm", "p, m and v by one step of AdamW, see adamWConsts,", []string{"p", "grad", "m", "v"},
		[]string{"scale", "b1", "c1", "b2", "c2", "keep", "step", "root", "eps"})
	l.run(1, func(i int) {
		g, m, v, t, p := YMM(), YMM(), YMM(), YMM(), YMM()
		VMULPS(l.mem("grad", i), l.consts["scale"], g)
		VMULPS(l.mem("m", i), l.consts["b1"], m)
		VMULPS(l.consts["c1"], g, t)
		VADDPS(t, m, m)
		VMOVUPS(m, l.mem("m", i))
		VMULPS(l.mem("v", i), l.consts["b2"], v)
		VMULPS(l.consts["c2"], g, t)
		VMULPS(g, t, t)
		VADDPS(t, v, v)
		VMOVUPS(v, l.mem("v", i))
		VSQRTPS(v, v)
		VMULPS(l.consts["root"], v, v)
		VADDPS(l.consts["eps"], v, v)
		VMULPS(l.consts["step"], m, m)
		VDIVPS(v, m, m)
		VMULPS(l.mem("p", i), l.consts["keep"], p)
		VSUBPS(m, p, p)
		VMOVUPS(p, l.mem("p", i))
	})
}
