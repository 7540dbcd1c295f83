package model

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// ioChunk is the number of bytes that tensors are converted in.
const ioChunk = 1 << 20

// Tensor is a named float32 tensor of a safetensors file.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32 // row by row
}

// ReadSafetensors reads all tensors of a file in the order of their places in it. F32 is read as it is, F16 and BF16 are converted to
// float32 exactly; other dtypes are refused. A damaged file gives an error before anything of its size is allocated.
func ReadSafetensors(path string) (_ []Tensor, err error) {
	f, err := openSafetensors(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, ioChunk)
	var tensors []Tensor
	for _, info := range f.infos {
		if _, known := dtypeSize(info.dtype); !known {
			return nil, f.read(info, nil, buf) // says so
		}
		t := Tensor{Name: info.name, Shape: info.shape, Data: make([]float32, info.elems())}
		if err := f.read(info, t.Data, buf); err != nil {
			return nil, err
		}
		tensors = append(tensors, t)
	}
	return tensors, nil
}

// WriteSafetensors writes tensors as F32, in their order. Metadata goes into the header; nil for none.
func WriteSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	sources := make([]tensorSource, len(tensors))
	for i, t := range tensors {
		sources[i] = tensorSource{name: t.Name, shape: t.Shape, f32: t.Data}
	}
	return writeSafetensors(w, sources, metadata)
}

// tensorSource is a tensor to be written: its numbers are in f32 or in f64.
type tensorSource struct {
	name  string
	shape []int
	f32   []float32
	f64   []float64
}

func (s tensorSource) len() int { return max(len(s.f32), len(s.f64)) }

func writeSafetensors(w io.Writer, tensors []tensorSource, metadata map[string]string) error {
	header, err := encodeHeader(tensors, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("model: safetensors: %w", err)
	}
	buf := make([]byte, 0, ioChunk)
	for _, t := range tensors {
		for i, n := 0, t.len(); i < n; {
			buf = buf[:0]
			for ; i < n && len(buf) < ioChunk; i++ {
				v := float32(0)
				if t.f32 != nil {
					v = t.f32[i]
				} else {
					v = float32(t.f64[i])
				}
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
			}
			if _, err := w.Write(buf); err != nil {
				return fmt.Errorf("model: safetensors: tensor %q: %w", t.name, err)
			}
		}
	}
	return nil
}

// encodeHeader gives the length and the JSON header, padded with blanks so that the numbers begin at a multiple of 8.
func encodeHeader(tensors []tensorSource, metadata map[string]string) ([]byte, error) {
	type entry struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	header := make(map[string]any, len(tensors)+1) // encoding/json sorts the keys: the same bytes every time
	if metadata != nil {
		header["__metadata__"] = metadata
	}
	at := int64(0)
	for _, t := range tensors {
		n := 1
		for _, d := range t.shape {
			n *= d
		}
		if n != t.len() {
			return nil, fmt.Errorf("model: safetensors: tensor %q of shape %v has %d numbers", t.name, t.shape, t.len())
		}
		if _, dup := header[t.name]; dup {
			return nil, fmt.Errorf("model: safetensors: tensor %q is there twice", t.name)
		}
		end := at + 4*int64(n)
		header[t.name] = entry{DType: "F32", Shape: append([]int{}, t.shape...), Offsets: [2]int64{at, end}}
		at = end
	}
	raw, err := json.Marshal(header)
	if err != nil {
		return nil, fmt.Errorf("model: safetensors: header: %w", err)
	}
	for len(raw)%8 != 0 {
		raw = append(raw, ' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(raw))), raw...), nil
}
