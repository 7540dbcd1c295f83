package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"reflect"
	"slices"
)

// parser walks over the bytes of a file. After its first error it gives zeros.
type parser struct {
	r        io.Reader
	at, size int64
	buf      []byte
	err      error
}

// fail keeps the first error.
func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// take gives the next n bytes, in memory that the next call uses again; none after an error.
func (p *parser) take(n uint64, what string) []byte {
	switch left, room := uint64(p.size-p.at), uint64(max(0, maxDescription-p.at)); {
	case n > left:
		p.fail("byte %d: %s needs %d bytes, %d are left: the file is cut short or damaged", p.at, what, n, left)
	case n > room:
		p.fail("byte %d: %s needs %d bytes: metadata and the table of tensors take more than %d bytes, which is the limit", p.at, what, n, maxDescription)
	}
	if p.err != nil {
		return nil
	}
	p.buf = slices.Grow(p.buf[:0], int(n))[:n]
	if _, err := io.ReadFull(p.r, p.buf); err != nil {
		p.fail("byte %d: %s: %w", p.at, what, unreadable(err))
		return nil
	}
	p.at += int64(n)
	return p.buf
}

func (p *parser) uint32(what string) uint32 {
	if raw := p.take(4, what); raw != nil {
		return binary.LittleEndian.Uint32(raw)
	}
	return 0
}

func (p *parser) uint64(what string) uint64 {
	if raw := p.take(8, what); raw != nil {
		return binary.LittleEndian.Uint64(raw)
	}
	return 0
}

func (p *parser) text(what string) string {
	return string(p.take(p.uint64("the length of "+what), what))
}

// maxDescription is the most bytes that are read in front of the tensors' numbers. A vocabulary of 262,144 tokens with its merges takes 16 MiB.
const maxDescription = 64 << 20

// parse reads everything in front of the tensors' numbers of a file of that size.
func parse(r io.ReaderAt, size int64) (*File, error) {
	p := &parser{r: bufio.NewReader(io.NewSectionReader(r, 0, size)), size: size}
	tensors, entries := p.header()
	f := &File{r: r, size: size, Values: make(map[string]any), tensors: make(map[string]int)}
	for i := uint64(0); i < entries && p.err == nil; i++ {
		kv := p.keyValue()
		if _, dup := f.Values[kv.Key]; dup {
			p.fail("byte %d: metadata %q is there twice", p.at, kv.Key)
		}
		f.Metadata = append(f.Metadata, kv)
		f.Values[kv.Key] = kv.Value
	}
	for i := uint64(0); i < tensors && p.err == nil; i++ {
		t := p.tensor()
		if _, dup := f.tensors[t.Name]; dup {
			p.fail("byte %d: tensor %q is there twice", p.at, t.Name)
		}
		f.tensors[t.Name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
	}
	if p.err != nil {
		return nil, p.err
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

func (p *parser) header() (tensors, entries uint64) {
	raw := p.take(headerBytes, "the header")
	if raw == nil {
		return 0, 0
	}
	switch v := binary.LittleEndian.Uint32(raw[4:]); {
	case string(raw[:4]) != magic:
		p.fail("the file begins with %q, not with %q: not a GGUF file", raw[:4], magic)
	case v&0xffff == 0 && v != 0:
		p.fail("the numbers are big endian, only little endian files are read")
	case v < oldestVersion || v > version:
		p.fail("GGUF version %d, only %d and %d are read", v, oldestVersion, version)
	}
	return binary.LittleEndian.Uint64(raw[8:]), binary.LittleEndian.Uint64(raw[16:])
}

// within says where an error is that came up since.
func (p *parser) within(format string, args ...any) func() {
	before := p.err
	return func() {
		if p.err != before {
			p.err = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), p.err)
		}
	}
}

func (p *parser) keyValue() KeyValue {
	begin := p.at
	key := p.text("a metadata key")
	kind := p.uint32("the type of a value")
	defer p.within("metadata %q at byte %d", key, begin)()
	return KeyValue{Key: key, Value: p.value(kind)}
}

// value reads one value, or an array of them.
func (p *parser) value(kind uint32) any {
	if kind != kindArray {
		return p.values(kind, 1, false)
	}
	kind = p.uint32("the type of an array")
	return p.values(kind, p.uint64("the length of an array"), true)
}

// values reads n values of a kind: as a slice, or the only one.
func (p *parser) values(kind uint32, n uint64, array bool) any {
	switch {
	case kind == kindString && array:
		return p.texts(n)
	case kind == kindString:
		return p.text("a text")
	case kind == kindArray:
		p.fail("arrays of arrays are not supported")
		return nil
	case int64(kind) >= int64(len(kinds)):
		p.fail("the type of the value is %d, want 0 to %d: the file is damaged", kind, len(kinds)-1)
		return nil
	case n > math.MaxInt64/8:
		p.fail("byte %d: an array of %d values: the file is damaged", p.at, n)
		return nil
	}
	raw := p.take(n*uint64(kinds[kind].Size()), "a value")
	if p.err != nil {
		return nil
	}
	out := reflect.MakeSlice(reflect.SliceOf(kinds[kind]), int(n), int(n))
	if _, err := binary.Decode(raw, binary.LittleEndian, out.Interface()); err != nil {
		p.fail("%w", err)
	}
	if !array {
		out = out.Index(0)
	}
	return out.Interface()
}

func (p *parser) texts(n uint64) []string {
	if left := uint64(p.size - p.at); n > left/8 { // each has a length of 8 bytes
		p.fail("byte %d: an array of %d texts in %d bytes: the file is cut short or damaged", p.at, n, left)
		return nil
	}
	out := make([]string, n)
	for i := range out {
		if out[i] = p.text("a text"); p.err != nil {
			p.err = fmt.Errorf("element %d: %w", i, p.err)
			return nil
		}
	}
	return out
}

// tensor reads an entry of the table; its place is still relative to the data.
func (p *parser) tensor() Tensor {
	begin := p.at
	t := Tensor{Name: p.text("the name of a tensor")}
	if p.err != nil {
		return t
	}
	defer p.within("tensor %q at byte %d", t.Name, begin)()
	dims := p.uint32("the number of dimensions")
	if p.err == nil && (dims < 1 || dims > maxDims) {
		p.fail("%d dimensions, want 1 to %d", dims, maxDims)
	}
	if p.err != nil {
		return t
	}
	t.Shape = make([]int, dims)
	elems := uint64(1)
	for i := range t.Shape {
		d := p.uint64("a dimension")
		hi, lo := bits.Mul64(elems, d)
		if d < 1 || d > math.MaxInt32 || hi != 0 || lo > math.MaxInt64/8 {
			p.fail("dimension %d is %d, and the ones before it hold %d numbers: not a tensor", i, d, elems)
			return t
		}
		elems, t.Shape[int(dims)-1-i] = lo, int(d)
	}
	kind, offset := p.uint32("the type"), p.uint64("the offset")
	if offset > uint64(p.size) {
		p.fail("its data begin at %d, the file has %d bytes: it is cut short or damaged", offset, p.size)
		return t
	}
	t.Type, t.begin = Type(kind), int64(offset)
	t.end = t.begin
	if block, size := t.Type.block(); block > 0 {
		if cols := t.Shape[dims-1]; cols%block != 0 {
			p.fail("rows of %d numbers, %v has blocks of %d", cols, t.Type, block)
		}
		t.end += int64(elems) / int64(block) * int64(size)
	}
	return t
}

// alignment is that of the tensors' data.
func (f *File) alignment() (int64, error) {
	v, ok := f.Values[alignmentKey]
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
