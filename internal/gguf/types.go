package gguf

import (
	"fmt"
	"reflect"
)

// Type is the form of a tensor's numbers, by its number in the format.
type Type uint32

// The types that are read. F32, F16 and Q8_0 are written too.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q4_1 Type = 3
	Q5_0 Type = 6
	Q5_1 Type = 7
	Q8_0 Type = 8
	Q4_K Type = 12
	Q5_K Type = 13
	Q6_K Type = 14
	BF16 Type = 30
)

// ReadableTypes lists the types that are read, for errors.
const ReadableTypes = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K"

// Numbers of a row that are stored together.
const (
	q8Block = 32  // in Q8_0, and in the types of 4 and 5 bits
	kBlock  = 256 // in the types whose names end in K
)

// typeNames are the names of all types, for errors. A number that is not here was never given out or was taken back.
var typeNames = map[Type]string{
	F32: "F32", F16: "F16", Q4_0: "Q4_0", Q4_1: "Q4_1", Q5_0: "Q5_0", Q5_1: "Q5_1", Q8_0: "Q8_0", 9: "Q8_1",
	10: "Q2_K", 11: "Q3_K", Q4_K: "Q4_K", Q5_K: "Q5_K", Q6_K: "Q6_K", 15: "Q8_K",
	16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS",
	24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", BF16: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
	40: "NVFP4", 41: "Q1_0", 42: "Q2_0",
}

// String is the type's name in llama.cpp.
func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// block gives the number of elements that are stored together and their bytes, 0 and 0 for types that are not read.
func (t Type) block() (elems, bytes int) {
	switch t {
	case F32:
		return 1, 4
	case F16, BF16:
		return 1, 2
	case Q4_0:
		return q8Block, 2 + q8Block/2
	case Q4_1:
		return q8Block, 4 + q8Block/2
	case Q5_0:
		return q8Block, 2 + 4 + q8Block/2
	case Q5_1:
		return q8Block, 4 + 4 + q8Block/2
	case Q8_0:
		return q8Block, 2 + q8Block
	case Q4_K:
		return kBlock, 4 + 12 + kBlock/2
	case Q5_K:
		return kBlock, 4 + 12 + kBlock/8 + kBlock/2
	case Q6_K:
		return kBlock, kBlock/2 + kBlock/4 + 16 + 2
	}
	return 0, 0
}

// Readable says whether Decode converts this type.
func (t Type) Readable() bool {
	elems, _ := t.block()
	return elems > 0
}

// rowBytes is the size of a row of that many numbers.
func (t Type) rowBytes(cols int) int {
	elems, bytes := t.block()
	return cols / elems * bytes
}

// KeyValue is one entry of the metadata. Value is a bool, string, intN, uintN (N = 8, 16, 32, 64), float32 or float64, or a slice of
// one of them.
type KeyValue struct {
	Key   string
	Value any
}

// Tensor is an entry of the table of tensors.
type Tensor struct {
	Name string
	// Shape has the outermost dimension first, as everywhere in this project; the file has it the other way round.
	Shape []int
	Type  Type

	begin, end int64 // of the file; end = begin where the type is not readable
}

// Begin is where the numbers lie in the file.
func (t Tensor) Begin() int64 { return t.begin }

// End is the first byte after the numbers; Begin where the type is not readable.
func (t Tensor) End() int64 { return t.end }

// rowsAndCols sees the tensor as a matrix of rows of its innermost dimension.
func rowsAndCols(shape []int) (rows, cols int) {
	rows, cols = 1, 1
	for _, d := range shape {
		rows, cols = rows*cols, d
	}
	return rows, cols
}

// kinds are the types of metadata, by their numbers.
var kinds = [...]reflect.Type{
	reflect.TypeFor[uint8](), reflect.TypeFor[int8](), reflect.TypeFor[uint16](), reflect.TypeFor[int16](),
	reflect.TypeFor[uint32](), reflect.TypeFor[int32](), reflect.TypeFor[float32](), reflect.TypeFor[bool](),
	kindString: reflect.TypeFor[string](), kindArray: nil,
	reflect.TypeFor[uint64](), reflect.TypeFor[int64](), reflect.TypeFor[float64](),
}

const (
	kindString = 8
	kindArray  = 9 // its type and the number of its elements follow
)

const (
	magic            = "GGUF"
	version          = 3
	oldestVersion    = 2
	headerBytes      = 4 + 4 + 8 + 8
	defaultAlignment = 32
	maxAlignment     = 1 << 20
	maxDims          = 4
	alignmentKey     = "general.alignment"
)
