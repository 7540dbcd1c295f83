// Package emit is what the generators of kern's assembly have in common: how a function begins and ends, the masks of the last lanes, loops
// over sixteen elements and the joining of their sums, the exponential and the rotation.
package emit

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Z and Y are the vector registers by number.
var (
	Z = []VecPhysical{
		Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
		Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
	}
	Y = []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}
)

// Func begins a function, which keeps no pointer. doc is what its comment says after its name.
func Func(name, signature string, doc ...string) {
	TEXT(name, NOSPLIT, signature)
	Doc(append([]string{name + " " + doc[0]}, doc[1:]...)...)
	Pragma("noescape")
}

// Signature is func(n int, pointers... *float32, consts... float32).
func Signature(pointers, consts []string) string {
	sig := "func(n int"
	for _, p := range pointers {
		sig += ", " + p + " *float32"
	}
	for _, c := range consts {
		sig += ", " + c + " float32"
	}
	return sig + ")"
}

// Address is where an argument lies.
func Address(name string) Mem {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// Arg loads an argument.
func Arg(name string) GPVirtual { return Load(Param(name), GP64()).(GPVirtual) }

// Spread copies a float32 argument to all eight lanes of a new register.
func Spread(name string) VecVirtual {
	y := YMM()
	VBROADCASTSS(Address(name), y)
	return y
}

// End ends a function.
func End() {
	VZEROUPPER()
	RET()
}
