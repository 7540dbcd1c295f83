package emit

import (
	"math"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The exponential: e^x = 2^n e^r with n the nearest integer to x/ln 2, e^r by Taylor's polynomial of degree 7, which for |r| <= ln 2 / 2 is
// off by less than 6e-9 of the value.

// Number is a constant that the exponential needs.
type Number int

const (
	Log2e Number = iota
	Round        // 1.5 * 2^23: adding it rounds to an integer, which the low bits then hold
	Ln2Hi        // ln 2 in float32: x - n ln2Hi is exact, as both are multiples of 2^-24
	Ln2Lo
	Low  // the least x whose exponential is a normal number; below it the result is 0
	High // the greatest x whose exponential is finite
	Inf
	NegInf
	Taylor // 1/7!, 1/6!, ... 1/0!

	degree = 7
)

// Coefficients are those of Taylor's polynomial, the last power's first.
func Coefficients() (c []Number) {
	for i := range Number(degree + 1) {
		c = append(c, Taylor+i)
	}
	return c
}

func (c Number) value() float32 {
	ln2Hi := float32(math.Ln2)
	switch c {
	case Log2e:
		return math.Log2E
	case Round:
		return 3 << 22
	case Ln2Hi:
		return ln2Hi
	case Ln2Lo:
		return float32(math.Ln2 - float64(ln2Hi))
	case Low:
		return math.Float32frombits(0xc2aeac4f)
	case High:
		return math.Float32frombits(0x42b17217)
	case Inf:
		return float32(math.Inf(1))
	case NegInf:
		return float32(math.Inf(-1))
	}
	factorial := 1.0
	for i := range int(Taylor + degree - c) {
		factorial *= float64(i + 1)
	}
	return float32(1 / factorial)
}

// Table is numbers in memory, each eight times.
type Table struct {
	Mem
	numbers []Number
}

// NewTable puts a table of that name into the file.
func NewTable(name string, numbers ...Number) Table {
	t := Table{GLOBL(name, RODATA|NOPTR), numbers}
	for i, c := range numbers {
		for lane := range 8 {
			DATA(4*(8*i+lane), U32(math.Float32bits(c.value())))
		}
	}
	return t
}

// At is a number in the table that base points to.
func (t Table) At(c Number, base Register) Mem {
	return Mem{Base: base, Disp: 32 * slices.Index(t.numbers, c)}
}

// Load512 copies the numbers to all lanes of the registers, in the table's order, and returns which one has which.
func (t Table) Load512(base Register, registers []VecPhysical) func(Number) Op {
	for i, c := range t.numbers {
		VBROADCASTSS(t.At(c, base), registers[i])
	}
	return func(c Number) Op { return registers[slices.Index(t.numbers, c)] }
}

// Exp emits p = e^r for x in y, and leaves in n the integer of which e^x = 2^n e^r, in t the same in the low bits. It changes y. t may be n.
// move is VMOVAPS of a register or VMOVUPS from memory, where the numbers are.
func Exp(move func(...Op), c func(Number) Op, y, t, n, p Op) {
	move(c(Round), t)
	VFMADD231PS(c(Log2e), y, t)
	VSUBPS(c(Round), t, n)
	VFNMADD231PS(c(Ln2Hi), n, y)
	VFNMADD231PS(c(Ln2Lo), n, y)
	move(c(Taylor), p)
	for _, i := range Coefficients()[1:] {
		VFMADD213PS(c(i), y, p)
	}
}

// TimesPowerOf2 emits p *= 2^n for the n in the low bits of t. It changes t.
func TimesPowerOf2(t, p Op) {
	VPSLLD(U8(23), t, t)
	VPADDD(t, p, p)
}

// Comparisons of VCMPPS. The third operand is compared with the second.
const (
	Unordered    = U8(0x03) // false without NaN
	NotLess      = U8(0x05) // true with NaN
	GreaterEqual = U8(0x0d) // false with NaN, as Greater
	Greater      = U8(0x0e)
)
