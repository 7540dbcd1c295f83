package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
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
	return elems > 0 && t != BF16 && cols%elems == 0
}

// Write writes a file of version 3. One row at a time is in memory.
func Write(w io.Writer, metadata []KeyValue, tensors []Source) error {
	head, err := encodeHead(metadata, tensors)
	if err != nil {
		return fmt.Errorf("gguf: write: %w", err)
	}
	out := &counter{w: w}
	if err := out.write(pad(head)); err != nil {
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
			if err := out.write(buf); err != nil {
				return fmt.Errorf("gguf: write: tensor %q: %w", t.Name, err)
			}
		}
		if err := out.write(make([]byte, padding(out.n))); err != nil {
			return fmt.Errorf("gguf: write: tensor %q: %w", t.Name, err)
		}
	}
	return nil
}

// counter counts the bytes written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) write(b []byte) error {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return err
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
	switch v := value.(type) {
	case uint8:
		return appendOne(b, kindUint8, v, appendByte[uint8]), nil
	case []uint8:
		return appendAll(b, kindUint8, v, appendByte[uint8]), nil
	case int8:
		return appendOne(b, kindInt8, v, appendByte[int8]), nil
	case []int8:
		return appendAll(b, kindInt8, v, appendByte[int8]), nil
	case bool:
		return appendOne(b, kindBool, v, appendBool), nil
	case []bool:
		return appendAll(b, kindBool, v, appendBool), nil
	case uint16:
		return appendOne(b, kindUint16, v, le.AppendUint16), nil
	case []uint16:
		return appendAll(b, kindUint16, v, le.AppendUint16), nil
	case int16:
		return appendOne(b, kindInt16, v, appendInt16), nil
	case []int16:
		return appendAll(b, kindInt16, v, appendInt16), nil
	case uint32:
		return appendOne(b, kindUint32, v, le.AppendUint32), nil
	case []uint32:
		return appendAll(b, kindUint32, v, le.AppendUint32), nil
	case int32:
		return appendOne(b, kindInt32, v, appendInt32), nil
	case []int32:
		return appendAll(b, kindInt32, v, appendInt32), nil
	case float32:
		return appendOne(b, kindFloat32, v, appendFloat32), nil
	case []float32:
		return appendAll(b, kindFloat32, v, appendFloat32), nil
	case uint64:
		return appendOne(b, kindUint64, v, le.AppendUint64), nil
	case []uint64:
		return appendAll(b, kindUint64, v, le.AppendUint64), nil
	case int64:
		return appendOne(b, kindInt64, v, appendInt64), nil
	case []int64:
		return appendAll(b, kindInt64, v, appendInt64), nil
	case float64:
		return appendOne(b, kindFloat64, v, appendFloat64), nil
	case []float64:
		return appendAll(b, kindFloat64, v, appendFloat64), nil
	case string:
		return appendOne(b, kindString, v, appendText), nil
	case []string:
		return appendAll(b, kindString, v, appendText), nil
	}
	return nil, errors.New("the type is not one of GGUF")
}

func appendOne[T any](b []byte, kind uint32, v T, add func([]byte, T) []byte) []byte {
	return add(binary.LittleEndian.AppendUint32(b, kind), v)
}

func appendAll[T any](b []byte, kind uint32, list []T, add func([]byte, T) []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, kindArray)
	b = binary.LittleEndian.AppendUint32(b, kind)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(list)))
	for _, v := range list {
		b = add(b, v)
	}
	return b
}

func appendByte[T uint8 | int8](b []byte, v T) []byte { return append(b, byte(v)) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendInt16(b []byte, v int16) []byte { return binary.LittleEndian.AppendUint16(b, uint16(v)) }
func appendInt32(b []byte, v int32) []byte { return binary.LittleEndian.AppendUint32(b, uint32(v)) }
func appendInt64(b []byte, v int64) []byte { return binary.LittleEndian.AppendUint64(b, uint64(v)) }
func appendFloat32(b []byte, v float32) []byte {
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
}
func appendFloat64(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}
