package llamacpp

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/tame-rlhf/tame/internal/gguf"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// Q8_0 is the type that stores 32 numbers of a row as a float16 and 32 int8.
const Q8_0 = "Q8_0"

// types are the types of the matrices.
var types = map[string]gguf.Type{file.F32: gguf.F32, file.F16: gguf.F16, Q8_0: gguf.Q8_0}

// fileTypes are llama.cpp's numbers for the type of most tensors.
var fileTypes = map[gguf.Type]uint32{gguf.F32: 0, gguf.F16: 1, gguf.Q8_0: 7}

// Write writes a model in GGUF, version 3. dtype is that of the matrices. Norms are F32. A matrix
// whose rows are no multiple of 32 numbers long is F16 where Q8_0 was asked for, as in llama.cpp's
// converter. vocab are the metadata of the tokenizer, or nil.
func Write(w io.Writer, c arch.Config, ends []int32, tensors []file.Tensor, weight func(name string) []float32, dtype string, vocab map[string]any) error {
	typ, known := types[dtype]
	if !known {
		return fmt.Errorf("the type is %q, want F32, F16 or Q8_0: other types of GGUF are read and not written", dtype)
	}
	meta, err := encodeConfig(c, typ, vocab)
	if err != nil {
		return err
	}
	if len(ends) > 0 {
		meta[keyEOT] = uint32(ends[0])
	}
	var sources []gguf.Source
	for _, t := range tensors {
		s := gguf.Source{Name: t.Name, Shape: t.Shape, Type: gguf.F32, Row: t.Rows(weight(t.Weight))}
		if _, cols := t.Size(); len(t.Shape) == 2 {
			s.Type = typ
			if !typ.CanHold(cols) {
				s.Type = gguf.F16
			}
		}
		sources = append(sources, s)
	}
	if freqs := ropeFreqs(c); freqs != nil {
		sources = append(sources, gguf.Source{Name: freqsName, Shape: []int{len(freqs)}, Type: gguf.F32, Row: func(int) []float32 { return freqs }})
	}
	var entries []gguf.KeyValue // in a fixed order, so that the same model gives the same bytes
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		entries = append(entries, gguf.KeyValue{Key: key, Value: meta[key]})
	}
	return gguf.Write(w, entries, sources)
}
