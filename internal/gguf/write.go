package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
)

// Source is a tensor to be written.
type Source struct {
	Name string
	// Shape has the outermost dimension first.
	Shape []int
	// Type is F32, F16 or Q8_0. The innermost dimension of Q8_0 is a multiple of 32.
	Type Type
	// Row gives a row of the innermost dimension. It is asked for each row once, in order, and may use the same memory again.
	Row func(i int) []float32
}

// CanHold says whether rows of that many numbers can be written in that type.
func (t Type) CanHold(cols int) bool {
	elems, _ := t.block()
	return (t == F32 || t == F16 || t == Q8_0) && cols%elems == 0
}

// Write writes a file of version 3. One row at a time is in memory.
func Write(w io.Writer, metadata []KeyValue, tensors []Source) error {
	head, err := encodeHead(metadata, tensors)
	if err != nil {
		return fmt.Errorf("gguf: write: %w", err)
	}
	if _, err := w.Write(pad(head)); err != nil {
		return fmt.Errorf("gguf: write: %w", err)
	}
	var buf []byte
	for _, t := range tensors {
		rows, cols := rowsAndCols(t.Shape)
		for i := range rows {
			row := t.Row(i)
			if len(row) != cols {
				return fmt.Errorf("gguf: write: tensor %q: row %d has %d numbers, want %d", t.Name, i, len(row), cols)
			}
			if buf, err = t.Type.AppendRow(buf[:0], row); err != nil {
				return fmt.Errorf("gguf: write: tensor %q: row %d: %w", t.Name, i, err)
			}
			if _, err := w.Write(buf); err != nil {
				return fmt.Errorf("gguf: write: tensor %q: %w", t.Name, err)
			}
		}
		size := int64(rows) * int64(t.Type.rowBytes(cols))
		if _, err := w.Write(make([]byte, padding(size))); err != nil {
			return fmt.Errorf("gguf: write: tensor %q: %w", t.Name, err)
		}
	}
	return nil
}

// padding is what is missing to a multiple of the alignment.
func padding(n int64) int64 { return (defaultAlignment - n%defaultAlignment) % defaultAlignment }

func pad(b []byte) []byte { return append(b, make([]byte, padding(int64(len(b))))...) }

// encodeHead gives the header, the metadata and the table of tensors.
func encodeHead(metadata []KeyValue, tensors []Source) ([]byte, error) {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte(magic), version)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(metadata)))
	seen := make(map[string]bool)
	for _, kv := range metadata {
		if seen[kv.Key] || kv.Key == "" || kv.Key == alignmentKey {
			return nil, fmt.Errorf("metadata %q is there twice, or has no name, or is not the caller's to write", kv.Key)
		}
		seen[kv.Key] = true
		var err error
		if b, err = appendValue(appendText(b, kv.Key), kv.Value); err != nil {
			return nil, fmt.Errorf("metadata %q: %w", kv.Key, err)
		}
	}
	clear(seen)
	offset := int64(0)
	for _, t := range tensors {
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor %q is there twice", t.Name)
		}
		seen[t.Name] = true
		if len(t.Shape) < 1 || len(t.Shape) > maxDims {
			return nil, fmt.Errorf("tensor %q has shape %v, want 1 to %d dimensions", t.Name, t.Shape, maxDims)
		}
		rows, cols := rowsAndCols(t.Shape)
		if !t.Type.CanHold(cols) || rows < 1 || cols < 1 {
			return nil, fmt.Errorf("tensor %q of shape %v cannot be written as %v", t.Name, t.Shape, t.Type)
		}
		b = le.AppendUint32(appendText(b, t.Name), uint32(len(t.Shape)))
		for i := range t.Shape {
			b = le.AppendUint64(b, uint64(t.Shape[len(t.Shape)-1-i]))
		}
		b = le.AppendUint64(le.AppendUint32(b, uint32(t.Type)), uint64(offset))
		offset += int64(rows) * int64(t.Type.rowBytes(cols))
		offset += padding(offset)
	}
	return b, nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue writes the type and the value.
func appendValue(b []byte, value any) ([]byte, error) {
	le := binary.LittleEndian
	t := reflect.TypeOf(value)
	array := t != nil && t.Kind() == reflect.Slice
	if array {
		t = t.Elem()
		b = le.AppendUint32(b, kindArray)
	}
	kind := slices.Index(kinds[:], t)
	if kind < 0 || t == nil {
		return nil, errors.New("the type is not one of GGUF")
	}
	b = le.AppendUint32(b, uint32(kind))
	if array {
		b = le.AppendUint64(b, uint64(reflect.ValueOf(value).Len()))
	}
	switch v := value.(type) {
	case string:
		return appendText(b, v), nil
	case []string:
		for _, text := range v {
			b = appendText(b, text)
		}
		return b, nil
	}
	return binary.Append(b, le, value)
}
