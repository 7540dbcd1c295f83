// Command rows generates the float32 loops of the row kernels.
//
// Element-wise loops take a positive multiple of 8 elements and do what their Go twins do, operation by operation, products
// rounded before they are added: an element has the same bits in the vector part, in the Go tail and in a build without
// assembly. Reductions take any length and add element i to virtual lane i mod 16: two registers of eight; lanes beyond the
// last element add 0, which changes nothing. AVX2 is all they use: wider vectors gain little on loops that wait for memory or for divisions.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	elementwise()
	gates()
	rotations()
	adamW()
	sum("sumAsm", "the sum of x", []string{"x"}, func(acc VecVirtual, x []VecVirtual) {
		VADDPS(x[0], acc, acc)
	})
	sum("dotAsm", "the sum of a * b", []string{"a", "b"}, func(acc VecVirtual, x []VecVirtual) {
		VMULPS(x[1], x[0], x[0])
		VADDPS(x[0], acc, acc)
	})
	sumSquares()
	greatest()
	Generate()
}

// loop is an element-wise kernel under construction.
type loop struct {
	n      GPVirtual
	off    GPVirtual // bytes done
	ptrs   map[string]Register
	consts map[string]VecVirtual
}

// begin starts func(n int, pointers..., consts...), the consts spread over vectors.
func begin(name, doc string, pointers, consts []string) *loop {
	sig := "func(n int"
	for _, p := range pointers {
		sig += ", " + p + " *float32"
	}
	for _, c := range consts {
		sig += ", " + c + " float32"
	}
	TEXT(name, NOSPLIT, sig+")")
	Doc(name + " sets " + doc + " for n elements, a positive multiple of 8.")
	Pragma("noescape")
	l := &loop{n: GP64(), off: GP64(), ptrs: map[string]Register{}, consts: map[string]VecVirtual{}}
	Load(Param("n"), l.n)
	for _, p := range pointers {
		l.ptrs[p] = Load(Param(p), GP64())
	}
	for _, c := range consts {
		l.consts[c] = YMM()
		VBROADCASTSS(param(c), l.consts[c])
	}
	return l
}

func param(name string) Mem {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
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
	VZEROUPPER()
	RET()
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
	l = begin("scoreBackwardAsm", "ds = p * (ds - delta) * alpha", []string{"ds", "p"}, []string{"delta", "alpha"})
	l.run(4, func(i int) {
		y := l.load("ds", i)
		VSUBPS(l.consts["delta"], y, y)
		VMULPS(l.mem("p", i), y, y)
		VMULPS(l.consts["alpha"], y, y)
		VMOVUPS(y, l.mem("ds", i))
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
		first, second := VSUBPS, VADDPS
		if back {
			name, doc = "rotateBackAsm", "dst0 and dst1 to the pairs x0, x1 turned back by cos, sin"
			first, second = VADDPS, VSUBPS
		}
		l := begin(name, doc, []string{"dst0", "dst1", "x0", "x1", "cos", "sin"}, nil)
		l.run(1, func(i int) {
			a, b, cos, sin := l.load("x0", i), l.load("x1", i), l.load("cos", i), l.load("sin", i)
			ac, bs := YMM(), YMM()
			VMULPS(cos, a, ac)
			VMULPS(sin, b, bs)
			VMULPS(cos, b, b)
			VMULPS(sin, a, a)
			first(bs, ac, ac)
			second(a, b, b)
			VMOVUPS(ac, l.mem("dst0", i))
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

// tail holds eight words of ones, then sixteen of zeros: the mask of k lanes starts at word 8-k.
var tail Mem

func masks() Mem {
	if tail.Base == nil {
		tail = GLOBL("tail", RODATA|NOPTR)
		for i := range 24 {
			DATA(4*i, U32(map[bool]uint32{true: 0xffffffff}[i < 8]))
		}
	}
	return tail
}

// lastMasks returns the masks of the two vectors that hold the last n < 16 elements.
func lastMasks(n GPVirtual) [2]VecVirtual {
	base, at, eight := GP64(), GP64(), GP64()
	LEAQ(masks(), base)
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

// reduction starts func(n int, pointers...) result.
func reduction(name, doc string, pointers []string, result string) (GPVirtual, []Register) {
	sig := "func(n int"
	for _, p := range pointers {
		sig += ", " + p + " *float32"
	}
	TEXT(name, NOSPLIT, sig+") "+result)
	Doc(name + " returns " + doc + " over n elements, any number.")
	Pragma("noescape")
	n := GP64()
	Load(Param("n"), n)
	var ptrs []Register
	for _, p := range pointers {
		ptrs = append(ptrs, Load(Param(p), GP64()))
	}
	return n, ptrs
}

// sum emits func(n int, pointers...) float32.
func sum(name, doc string, pointers []string, step func(acc VecVirtual, x []VecVirtual)) {
	n, ptrs := reduction(name, doc, pointers, "float32")
	acc := [2]VecVirtual{YMM(), YMM()}
	for _, a := range acc {
		VXORPS(a, a, a)
	}
	Label("steps")
	SUBQ(I8(16), n)
	JLT(LabelRef("rest"))
	for i, a := range acc {
		var x []VecVirtual
		for _, p := range ptrs {
			y := YMM()
			VMOVUPS(Mem{Base: p, Disp: 32 * i}, y)
			x = append(x, y)
		}
		step(a, x)
	}
	for _, p := range ptrs {
		ADDQ(I8(64), p)
	}
	JMP(LabelRef("steps"))
	Label("rest")
	ADDQ(I8(16), n)
	JZ(LabelRef("tree"))
	for i, m := range lastMasks(n) {
		var x []VecVirtual
		for _, p := range ptrs {
			y := YMM()
			VMASKMOVPS(Mem{Base: p, Disp: 32 * i}, m, y)
			x = append(x, y)
		}
		step(acc[i], x)
	}
	Label("tree")
	tree(acc, VADDPS, VADDSS)
}

// tree joins sixteen lanes, 8 apart, 4, 2 and 1 apart, and returns lane 0.
func tree(acc [2]VecVirtual, join, last func(...Op)) {
	lo, hi := acc[0].AsX(), XMM()
	join(acc[1], acc[0], acc[0])
	VEXTRACTF128(U8(1), acc[0], hi)
	join(hi, lo, lo)
	VPERMILPS(U8(0b1110), lo, hi)
	join(hi, lo, lo)
	VPERMILPS(U8(1), lo, hi)
	last(hi, lo, lo)
	Store(lo, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

func sumSquares() {
	n, ptrs := reduction("sumSquaresAsm", "the sum of x * x, in float64,", []string{"x"}, "float64")
	x := ptrs[0]
	acc := [4]VecVirtual{YMM(), YMM(), YMM(), YMM()}
	for _, a := range acc {
		VXORPD(a, a, a)
	}
	Label("steps")
	SUBQ(I8(16), n)
	JLT(LabelRef("rest"))
	for i, a := range acc {
		y := YMM()
		VCVTPS2PD(Mem{Base: x, Disp: 16 * i}, y)
		VFMADD231PD(y, y, a) // the product is exact
	}
	ADDQ(I8(64), x)
	JMP(LabelRef("steps"))
	Label("rest")
	ADDQ(I8(16), n)
	JZ(LabelRef("tree"))
	for i, m := range lastMasks(n) {
		y, half, wide := YMM(), XMM(), YMM()
		VMASKMOVPS(Mem{Base: x, Disp: 32 * i}, m, y)
		VEXTRACTF128(U8(1), y, half)
		VCVTPS2PD(y.AsX(), wide)
		VFMADD231PD(wide, wide, acc[2*i])
		VCVTPS2PD(half, wide)
		VFMADD231PD(wide, wide, acc[2*i+1])
	}
	Label("tree")
	VADDPD(acc[2], acc[0], acc[0]) // 8 apart
	VADDPD(acc[3], acc[1], acc[1])
	VADDPD(acc[1], acc[0], acc[0]) // 4 apart
	lo, hi := acc[0].AsX(), XMM()
	VEXTRACTF128(U8(1), acc[0], hi)
	VADDPD(hi, lo, lo) // 2 apart
	VPERMILPD(U8(1), lo, hi)
	VADDSD(hi, lo, lo)
	Store(lo, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

func greatest() {
	n, ptrs := reduction("maxAsm", "the greatest of x, NaN if one is NaN,", []string{"x"}, "float32")
	x := ptrs[0]
	word, least := GP32(), YMM()
	MOVL(U32(0xff800000), word) // -Inf
	VMOVD(word, least.AsX())
	VPBROADCASTD(least.AsX(), least)
	nan := YMM() // all ones in lanes that met a NaN
	VXORPS(nan, nan, nan)
	acc := [2]VecVirtual{YMM(), YMM()}
	for _, a := range acc {
		VMOVAPS(least, a)
	}
	step := func(acc, y VecVirtual) {
		const unordered = 3
		bad := YMM()
		VCMPPS(U8(unordered), y, y, bad)
		VORPS(bad, nan, nan)
		VMAXPS(y, acc, acc)
	}
	Label("steps")
	SUBQ(I8(16), n)
	JLT(LabelRef("rest"))
	for i, a := range acc {
		y := YMM()
		VMOVUPS(Mem{Base: x, Disp: 32 * i}, y)
		step(a, y)
	}
	ADDQ(I8(64), x)
	JMP(LabelRef("steps"))
	Label("rest")
	ADDQ(I8(16), n)
	JZ(LabelRef("tree"))
	for i, m := range lastMasks(n) {
		y := YMM()
		VMASKMOVPS(Mem{Base: x, Disp: 32 * i}, m, y)
		VBLENDVPS(m, y, least, y)
		step(acc[i], y)
	}
	Label("tree")
	VPTEST(nan, nan)
	JNZ(LabelRef("unordered"))
	tree(acc, VMAXPS, VMAXSS)
	Label("unordered")
	VPCMPEQD(nan, nan, nan)
	Store(nan.AsX(), ReturnIndex(0)) // all ones: a NaN
	VZEROUPPER()
	RET()
}
