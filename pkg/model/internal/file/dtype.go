package file

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/internal/gguf"
)

// Types of the numbers in files, by the names that safetensors and GGUF have for them.
const (
	F32  = "F32"  // IEEE 754 binary32, a float32
	F16  = "F16"  // IEEE 754 binary16: 11 significant bits, up to 65504
	BF16 = "BF16" // the upper half of a float32: 8 significant bits
)

// ChunkBytes is the number of bytes that files are written in.
const ChunkBytes = 1 << 20

// DTypeSize is the bytes of one number of the types that are read and written.
func DTypeSize(dtype string) (int64, bool) {
	switch dtype {
	case F32:
		return 4, true
	case F16, BF16:
		return 2, true
	}
	return 0, false
}

// fileTypes are the same types in GGUF, where the conversions are.
var fileTypes = map[string]gguf.Type{F32: gguf.F32, F16: gguf.F16, BF16: gguf.BF16}

// Decode converts the numbers in raw and returns how many there are.
func Decode(dst []float32, raw []byte, dtype string) int {
	size, _ := DTypeSize(dtype)
	n := len(raw) / int(size)
	fileTypes[dtype].DecodeRow(dst[:n], raw[:n*int(size)])
	return n
}

// Encode appends the numbers to raw, rounded to nearest even. A finite number that the type does not reach is an error.
func Encode(raw []byte, src []float32, dtype string) ([]byte, error) {
	if dtype == F32 {
		return gguf.F32.AppendRow(raw, src)
	}
	round, inf, hint := gguf.FloatToHalf, uint16(0x7c00), "F16 ends at 65504: write BF16 or F32"
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

// floatToBF16 rounds to the nearest bfloat16 number, of two to the even one. A NaN stays a NaN.
func floatToBF16(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
