package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
)

// parser walks over the bytes of a file.
type parser struct {
	r        io.Reader
	at, size int64
	buf      []byte
}

// take gives the next n bytes, in memory that the next call uses again.
func (p *parser) take(n uint64, what string) ([]byte, error) {
	if left := p.size - p.at; n > uint64(left) {
		return nil, fmt.Errorf("byte %d: %s needs %d bytes, %d are left: the file is cut short or damaged", p.at, what, n, left)
	}
	p.buf = slices.Grow(p.buf[:0], int(n))[:n]
	if _, err := io.ReadFull(p.r, p.buf); err != nil {
		return nil, fmt.Errorf("byte %d: %s: %w", p.at, what, unreadable(err))
	}
	p.at += int64(n)
	return p.buf, nil
}

func (p *parser) uint32(what string) (uint32, error) {
	raw, err := p.take(4, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(raw), nil
}

func (p *parser) uint64(what string) (uint64, error) {
	raw, err := p.take(8, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(raw), nil
}

func (p *parser) text(what string) (string, error) {
	n, err := p.uint64("the length of " + what)
	if err != nil {
		return "", err
	}
	raw, err := p.take(n, what)
	return string(raw), err
}

// parse reads everything in front of the tensors' numbers of a file of that size.
func parse(r io.ReaderAt, size int64) (*File, error) {
	p := &parser{r: bufio.NewReader(io.NewSectionReader(r, 0, size)), size: size}
	tensors, entries, err := p.header()
	if err != nil {
		return nil, err
	}
	f := &File{r: r, size: size, values: make(map[string]any), tensors: make(map[string]int)}
	for range entries {
		kv, err := p.keyValue()
		if err != nil {
			return nil, err
		}
		if _, dup := f.values[kv.Key]; dup {
			return nil, fmt.Errorf("byte %d: metadata %q is there twice", p.at, kv.Key)
		}
		f.Metadata = append(f.Metadata, kv)
		f.values[kv.Key] = kv.Value
	}
	for range tensors {
		t, err := p.tensor()
		if err != nil {
			return nil, err
		}
		if _, dup := f.tensors[t.Name]; dup {
			return nil, fmt.Errorf("byte %d: tensor %q is there twice", p.at, t.Name)
		}
		f.tensors[t.Name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
	}
	align, err := f.alignment()
	if err != nil {
		return nil, err
	}
	if len(f.Tensors) == 0 {
		return f, nil // a file with a vocabulary only may end without padding
	}
	return f, f.place((p.at+align-1)/align*align, align)
}

func (p *parser) header() (tensors, entries uint64, err error) {
	raw, err := p.take(headerBytes, "the header")
	if err != nil {
		return 0, 0, err
	}
	v := binary.LittleEndian.Uint32(raw[4:])
	switch {
	case string(raw[:4]) != magic:
		return 0, 0, fmt.Errorf("the file begins with %q, not with %q: not a GGUF file", raw[:4], magic)
	case v&0xffff == 0 && v != 0:
		return 0, 0, errors.New("the numbers are big endian, only little endian files are read")
	case v < oldestVersion || v > version:
		return 0, 0, fmt.Errorf("GGUF version %d, only %d and %d are read", v, oldestVersion, version)
	}
	return binary.LittleEndian.Uint64(raw[8:]), binary.LittleEndian.Uint64(raw[16:]), nil
}

func (p *parser) keyValue() (KeyValue, error) {
	begin := p.at
	key, err := p.text("a metadata key")
	if err != nil {
		return KeyValue{}, err
	}
	kind, err := p.uint32("the type of a value")
	if err != nil {
		return KeyValue{}, err
	}
	value, err := p.value(kind)
	if err != nil {
		return KeyValue{}, fmt.Errorf("metadata %q at byte %d: %w", key, begin, err)
	}
	return KeyValue{Key: key, Value: value}, nil
}

// value reads one value, or an array of them.
func (p *parser) value(kind uint32) (any, error) {
	if kind != kindArray {
		return p.values(kind, 1, false)
	}
	kind, err := p.uint32("the type of an array")
	if err != nil {
		return nil, err
	}
	n, err := p.uint64("the length of an array")
	if err != nil {
		return nil, err
	}
	return p.values(kind, n, true)
}

// values reads n values of a kind: as a slice, or the only one.
func (p *parser) values(kind uint32, n uint64, array bool) (any, error) {
	le := binary.LittleEndian
	switch kind {
	case kindUint8:
		return take(p, n, array, 1, func(b []byte) uint8 { return b[0] })
	case kindInt8:
		return take(p, n, array, 1, func(b []byte) int8 { return int8(b[0]) })
	case kindUint16:
		return take(p, n, array, 2, le.Uint16)
	case kindInt16:
		return take(p, n, array, 2, func(b []byte) int16 { return int16(le.Uint16(b)) })
	case kindUint32:
		return take(p, n, array, 4, le.Uint32)
	case kindInt32:
		return take(p, n, array, 4, func(b []byte) int32 { return int32(le.Uint32(b)) })
	case kindFloat32:
		return take(p, n, array, 4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	case kindUint64:
		return take(p, n, array, 8, le.Uint64)
	case kindInt64:
		return take(p, n, array, 8, func(b []byte) int64 { return int64(le.Uint64(b)) })
	case kindFloat64:
		return take(p, n, array, 8, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) })
	case kindBool:
		return take(p, n, array, 1, func(b []byte) bool { return b[0] != 0 })
	case kindString:
		return p.texts(n, array)
	case kindArray:
		return nil, errors.New("arrays of arrays are not supported")
	}
	return nil, fmt.Errorf("the type of the value is %d, want 0 to %d: the file is damaged", kind, kindFloat64)
}

// take reads n values of size bytes.
func take[T any](p *parser, n uint64, array bool, size int, get func([]byte) T) (any, error) {
	if n > math.MaxInt64/8 {
		return nil, fmt.Errorf("byte %d: an array of %d values: the file is damaged", p.at, n)
	}
	raw, err := p.take(n*uint64(size), "a value")
	if err != nil {
		return nil, err
	}
	if !array {
		return get(raw), nil
	}
	out := make([]T, n)
	for i := range out {
		out[i] = get(raw[i*size:])
	}
	return out, nil
}

func (p *parser) texts(n uint64, array bool) (any, error) {
	if !array {
		return p.text("a text")
	}
	if left := uint64(p.size - p.at); n > left/8 { // each has a length of 8 bytes
		return nil, fmt.Errorf("byte %d: an array of %d texts in %d bytes: the file is cut short or damaged", p.at, n, left)
	}
	out := make([]string, n)
	for i := range out {
		var err error
		if out[i], err = p.text("a text"); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return out, nil
}

// tensor reads an entry of the table; its place is still relative to the data.
func (p *parser) tensor() (Tensor, error) {
	begin := p.at
	name, err := p.text("the name of a tensor")
	if err != nil {
		return Tensor{}, err
	}
	fail := func(format string, args ...any) (Tensor, error) {
		return Tensor{}, fmt.Errorf("tensor %q at byte %d: "+format, append([]any{name, begin}, args...)...)
	}
	dims, err := p.uint32("the number of dimensions")
	if err != nil {
		return fail("%w", err)
	}
	if dims < 1 || dims > maxDims {
		return fail("%d dimensions, want 1 to %d", dims, maxDims)
	}
	t := Tensor{Name: name, Shape: make([]int, dims)}
	elems := uint64(1)
	for i := range t.Shape {
		d, err := p.uint64("a dimension")
		if err != nil {
			return fail("%w", err)
		}
		hi, lo := bits.Mul64(elems, d)
		if d < 1 || d > math.MaxInt32 || hi != 0 || lo > math.MaxInt64/8 {
			return fail("dimension %d is %d, and the ones before it hold %d numbers: not a tensor", i, d, elems)
		}
		elems, t.Shape[int(dims)-1-i] = lo, int(d)
	}
	kind, err := p.uint32("the type")
	if err != nil {
		return fail("%w", err)
	}
	offset, err := p.uint64("the offset")
	if err != nil {
		return fail("%w", err)
	}
	if offset > uint64(p.size) {
		return fail("its data begin at %d, the file has %d bytes: it is cut short or damaged", offset, p.size)
	}
	t.Type, t.begin = Type(kind), int64(offset)
	t.end = t.begin
	if block, size := t.Type.block(); block > 0 {
		if cols := t.Shape[dims-1]; cols%block != 0 {
			return fail("rows of %d numbers, %v has blocks of %d", cols, t.Type, block)
		}
		t.end += int64(elems) / int64(block) * int64(size)
	}
	return t, nil
}

// alignment is that of the tensors' data.
func (f *File) alignment() (int64, error) {
	v, ok := f.values[alignmentKey]
	if !ok {
		return defaultAlignment, nil
	}
	n, ok := v.(uint32)
	if !ok || bits.OnesCount32(n) != 1 || n > maxAlignment {
		return 0, fmt.Errorf("metadata %q is %v, want a power of 2 up to %d, as uint32", alignmentKey, v, maxAlignment)
	}
	return int64(n), nil
}

// place checks that each tensor lies in the file, aligned and apart from the others, and makes its place one from the file's begin.
func (f *File) place(start, align int64) error {
	size := f.size
	order := make([]*Tensor, len(f.Tensors))
	for i := range f.Tensors {
		t := &f.Tensors[i]
		if t.begin%align != 0 {
			return fmt.Errorf("tensor %q: its offset %d is no multiple of the alignment %d", t.Name, t.begin, align)
		}
		t.begin, t.end = t.begin+start, t.end+start
		if t.end > size {
			return fmt.Errorf("tensor %q lies at bytes %d to %d, the file has %d: it is cut short or damaged", t.Name, t.begin, t.end, size)
		}
		order[i] = t
	}
	slices.SortStableFunc(order, func(a, b *Tensor) int { return int(min(max(a.begin-b.begin, -1), 1)) })
	for i, t := range order[1:] {
		if before := order[i]; t.begin < before.end || t.begin == before.begin {
			return fmt.Errorf("tensors %q and %q overlap at byte %d", before.Name, t.Name, t.begin)
		}
	}
	return nil
}
