package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"unsafe"
)

// LittleEndian says whether a float32 lies in memory as it lies in the file.
var LittleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// BytesOf is the memory of x.
func BytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// DecodeRow converts a row of a readable type. raw has exactly its bytes.
func (t Type) DecodeRow(dst []float32, raw []byte) {
	le := binary.LittleEndian
	switch t {
	case F32:
		if LittleEndian {
			copy(BytesOf(dst), raw)
			return
		}
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(raw[4*i:]))
		}
	case F16:
		decodeHalf(dst, raw)
	case BF16:
		decodeBrain(dst, raw)
	default:
		t.decodeBlocks(dst, raw)
	}
}

// AppendRow encodes a row that CanHold holds. An error says which number the type cannot hold.
func (t Type) AppendRow(b []byte, row []float32) ([]byte, error) {
	le := binary.LittleEndian
	switch t {
	case F32:
		if LittleEndian {
			return append(b, BytesOf(row)...), nil
		}
		for _, x := range row {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
	case F16:
		for i, x := range row {
			h := FloatToHalf(x)
			if h&0x7fff == halfInf && !math.IsInf(float64(x), 0) {
				return b, fmt.Errorf("number %d is %v, F16 ends at 65504", i, x)
			}
			b = le.AppendUint16(b, h)
		}
	case Q8_0:
		for i := 0; i < len(row); i += q8Block {
			var err error
			if b, err = appendQ8(b, row[i:][:q8Block]); err != nil {
				return b, fmt.Errorf("numbers %d to %d: %w", i, i+q8Block-1, err)
			}
		}
	default:
		return b, fmt.Errorf("%v is not written", t)
	}
	return b, nil
}

// appendQ8 encodes a block as llama.cpp's quantize_row_q8_0_ref does.
func appendQ8(b []byte, block []float32) ([]byte, error) {
	amax := float32(0)
	for _, x := range block {
		if x != x {
			return b, fmt.Errorf("Q8_0 cannot hold %v", x)
		}
		amax = max(amax, float32(math.Abs(float64(x))))
	}
	d := amax / 127
	h := FloatToHalf(d)
	if h == halfInf {
		return b, fmt.Errorf("the largest number is %v, Q8_0 ends at %v", amax, float32(127*65504))
	}
	inverse := 1 / d
	if math.IsInf(float64(inverse), 0) { // d is 0 or next to it: it is stored as 0, so the integers do not matter
		inverse = 0
	}
	b = binary.LittleEndian.AppendUint16(b, h)
	for _, x := range block {
		b = append(b, byte(int8(math.Round(float64(x*inverse)))))
	}
	return b, nil
}

// halves are all numbers of binary16. Looking one up takes less time than its arithmetic.
var halves = sync.OnceValue(func() *[1 << 16]float32 {
	table := new([1 << 16]float32)
	for h := range table {
		table[h] = halfToFloat(uint16(h))
	}
	return table
})

// decodeHalf converts four numbers at a time.
func decodeHalf(dst []float32, raw []byte) {
	table, le := halves(), binary.LittleEndian
	for ; len(dst) >= 4; dst, raw = dst[4:], raw[8:] {
		w, to := le.Uint64(raw), (*[4]float32)(dst)
		to[0], to[1], to[2], to[3] = table[uint16(w)], table[uint16(w>>16)], table[uint16(w>>32)], table[uint16(w>>48)]
	}
	for i := range dst {
		dst[i] = table[le.Uint16(raw[2*i:])]
	}
}

// decodeBrain converts four numbers at a time: each is the upper half of a float32.
func decodeBrain(dst []float32, raw []byte) {
	le := binary.LittleEndian
	for ; len(dst) >= 4; dst, raw = dst[4:], raw[8:] {
		w, to := le.Uint64(raw), (*[4]float32)(dst)
		to[0], to[1] = math.Float32frombits(uint32(w<<16)), math.Float32frombits(uint32(w)&0xffff0000)
		to[2], to[3] = math.Float32frombits(uint32(w>>16)&0xffff0000), math.Float32frombits(uint32(w>>32)&0xffff0000)
	}
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(le.Uint16(raw[2*i:])) << 16)
	}
}

const halfInf = 0x7c00

// halfToFloat converts an IEEE 754 binary16 number, exactly.
func halfToFloat(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exp {
	case 0: // zero and subnormal numbers: frac * 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*(1.0/(1<<24))))
	case 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// FloatToHalf rounds to the nearest IEEE 754 binary16 number, halves to even. What is 65520 or more becomes infinite.
func FloatToHalf(x float32) uint16 {
	bits := math.Float32bits(x)
	sign, mag := uint16(bits>>16)&0x8000, bits&0x7fffffff
	switch {
	case mag > 0xff<<23:
		return sign | halfInf | 0x200 | uint16(mag>>13)&0x3ff // NaN stays NaN
	case mag >= 0x477ff000: // 65520
		return sign | halfInf
	case mag < 0x38800000: // below 2^-14 there are multiples of 2^-24: adding 0.5 leaves exactly those bits
		return sign | uint16(math.Float32bits(math.Float32frombits(mag)+0.5)-math.Float32bits(0.5))
	}
	mag -= (127 - 15) << 23
	return sign | uint16((mag+0xfff+mag>>13&1)>>13)
}
