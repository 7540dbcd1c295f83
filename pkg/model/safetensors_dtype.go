package model

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"unsafe"
)

// Types of the numbers in a safetensors file, by the names that the format has for them.
const (
	F32  = "F32"  // IEEE 754 binary32, a float32
	F16  = "F16"  // IEEE 754 binary16: 11 significant bits, up to 65504
	BF16 = "BF16" // the upper half of a float32: 8 significant bits
)

// dtypeSize is the bytes of one number of the types that are read and written.
func dtypeSize(dtype string) (int64, bool) {
	switch dtype {
	case F32:
		return 4, true
	case F16, BF16:
		return 2, true
	}
	return 0, false
}

// littleEndian says whether a float32 lies in memory as it lies in the file.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// bytesOf is the memory of x.
func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// decodeFloats converts the numbers in raw and returns how many there are.
func decodeFloats(dst []float32, raw []byte, dtype string) int {
	if dtype == F32 {
		n := len(raw) / 4
		if littleEndian {
			copy(bytesOf(dst[:n]), raw)
			return n
		}
		for i := range n {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		return n
	}
	n := len(raw) / 2
	dst, raw = dst[:n], raw[:2*n]
	if dtype == F16 {
		decodeHalf(dst, raw)
	} else {
		decodeBF16(dst, raw)
	}
	return n
}

// halfTable holds the numbers of all 65536 codes of F16, which is seven times as fast as halfToFloat.
var halfTable = sync.OnceValue(func() *[1 << 16]float32 {
	table := new([1 << 16]float32)
	for h := range table {
		table[h] = halfToFloat(uint16(h))
	}
	return table
})

// decodeHalf converts F16, four numbers at a time.
func decodeHalf(dst []float32, raw []byte) {
	table := halfTable()
	for ; len(dst) >= 4 && len(raw) >= 8; dst, raw = dst[4:], raw[8:] {
		x := binary.LittleEndian.Uint64(raw)
		dst[0], dst[1], dst[2], dst[3] = table[uint16(x)], table[uint16(x>>16)], table[uint16(x>>32)], table[uint16(x>>48)]
	}
	for i := range dst {
		dst[i] = table[binary.LittleEndian.Uint16(raw[2*i:])]
	}
}

// decodeBF16 converts BF16, four numbers at a time.
func decodeBF16(dst []float32, raw []byte) {
	for ; len(dst) >= 4 && len(raw) >= 8; dst, raw = dst[4:], raw[8:] {
		x := binary.LittleEndian.Uint64(raw)
		dst[0], dst[1] = math.Float32frombits(uint32(x)<<16), math.Float32frombits(uint32(x)&^0xffff)
		dst[2], dst[3] = math.Float32frombits(uint32(x>>32)<<16), math.Float32frombits(uint32(x>>32)&^0xffff)
	}
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
	}
}

// encodeFloats appends the numbers to raw, rounded to nearest even. A finite number that the type does not reach is an error.
func encodeFloats(raw []byte, src []float32, dtype string) ([]byte, error) {
	if dtype == F32 {
		if littleEndian {
			return append(raw, bytesOf(src)...), nil
		}
		for _, v := range src {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		return raw, nil
	}
	round, inf, hint := floatToHalf, uint16(0x7c00), "F16 ends at 65504: write BF16 or F32"
	if dtype == BF16 {
		round, inf, hint = floatToBF16, 0x7f80, "BF16 ends at 3.39e38: write F32"
	}
	for _, v := range src {
		h := round(v)
		if h&0x7fff == inf && !math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("%v would become infinite: %s", v, hint)
		}
		raw = binary.LittleEndian.AppendUint16(raw, h)
	}
	return raw, nil
}

// halfToFloat converts an IEEE 754 binary16 number, exactly.
func halfToFloat(h uint16) float32 {
	sign, rest := uint32(h&0x8000)<<16, uint32(h&0x7fff)<<13
	if rest >= 0x7c00<<13 { // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | rest)
	}
	// The exponent's bias is 15 there and 127 here. To multiply puts that right, for subnormal numbers too.
	v := math.Float32frombits(rest) * 0x1p112
	return math.Float32frombits(sign | math.Float32bits(v))
}

// floatToHalf rounds to the nearest IEEE 754 binary16 number, of two to the even one. A NaN stays a NaN.
func floatToHalf(v float32) uint16 {
	b := math.Float32bits(v)
	sign, b := uint16(b>>16)&0x8000, b&0x7fff_ffff
	switch {
	case b > 0x7f80_0000: // NaN, made a quiet one so that what is left of it is not infinity
		return sign | 0x7e00 | uint16(b>>13)&0x3ff
	case b >= 0x477f_f000: // 65520, half way beyond 65504
		return sign | 0x7c00
	case b < 0x3880_0000: // below 2^-14: a multiple of 2^-24, which is what the sum is rounded to
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-math.Float32bits(0.5))
	}
	b += 0xfff + b>>13&1
	return sign | uint16((b-112<<23)>>13)
}

// floatToBF16 rounds to the nearest bfloat16 number, of two to the even one. A NaN stays a NaN.
func floatToBF16(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
