package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// thriftStruct holds the fields of a struct of Thrift's compact protocol, in which a Parquet file describes itself, by
// their number: int64, float64, bool, []byte, []any or thriftStruct.
type thriftStruct map[int16]any

var (
	errThrift = errors.New("its metadata is damaged")
	errLarge  = fmt.Errorf("its metadata takes more than %d MiB in memory: write the file with fewer columns or row groups", maxMeta>>20)
)

type thriftReader struct {
	buf   []byte
	at    int
	depth int
	left  int // bytes of memory that may still be taken
}

// parseThrift reads a struct and returns how many bytes it takes. What it makes is bounded by the bytes that are there.
func parseThrift(buf []byte) (s thriftStruct, n int, err error) {
	defer func() {
		if p := recover(); p == errLarge {
			s, n, err = nil, 0, errLarge
		} else if p != nil {
			s, n, err = nil, 0, fmt.Errorf("%w: %v", errThrift, p)
		}
	}()
	r := &thriftReader{buf: buf, left: maxMeta}
	s = r.structure()
	return s, r.at, nil
}

// take counts memory, about: a footer of two bytes an element takes a hundred times as much as the file has.
func (r *thriftReader) take(bytes int) {
	if r.left -= bytes; r.left < 0 {
		panic(errLarge)
	}
}

func (r *thriftReader) byte() byte {
	c := r.buf[r.at]
	r.at++
	return c
}

func (r *thriftReader) uvarint() uint64 {
	x, n := binary.Uvarint(r.buf[r.at:])
	if n <= 0 {
		panic(errThrift)
	}
	r.at += n
	return x
}

func (r *thriftReader) varint() int64 {
	x := r.uvarint()
	return int64(x>>1) ^ -int64(x&1)
}

func (r *thriftReader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.buf)-r.at) {
		panic(errThrift)
	}
	b := r.buf[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

// Kinds of values in the compact protocol.
const (
	thriftTrue = iota + 1
	thriftFalse
	thriftI8
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBytes
	thriftList
	thriftSet
	thriftMap
	thriftStructKind
)

// structBytes is what a struct of up to eight fields takes.
const structBytes = 300

func (r *thriftReader) structure() thriftStruct {
	if r.depth++; r.depth > 32 {
		panic(errThrift)
	}
	defer func() { r.depth-- }()
	r.take(structBytes)
	s := thriftStruct{}
	id := int16(0)
	for {
		c := r.byte()
		if c == 0 {
			return s
		}
		if delta := int16(c >> 4); delta != 0 {
			id += delta
		} else {
			id = int16(r.varint())
		}
		switch kind := c & 15; kind {
		case thriftTrue, thriftFalse:
			s[id] = kind == thriftTrue
		default:
			s[id] = r.value(kind)
		}
	}
}

func (r *thriftReader) value(kind byte) any {
	switch kind {
	case thriftTrue, thriftFalse: // in a list
		return r.byte() == 1
	case thriftI8:
		return int64(int8(r.byte()))
	case thriftI16, thriftI32, thriftI64:
		return r.varint()
	case thriftDouble:
		x := math.Float64frombits(binary.LittleEndian.Uint64(r.buf[r.at:]))
		r.at += 8
		return x
	case thriftBytes:
		return r.bytes()
	case thriftList, thriftSet:
		return r.list()
	case thriftMap:
		return r.mapping()
	case thriftStructKind:
		return r.structure()
	}
	panic(errThrift)
}

func (r *thriftReader) list() []any {
	c := r.byte()
	n := uint64(c >> 4)
	if n == 15 {
		n = r.uvarint()
	}
	return r.values(n, c&15)
}

// values reads n values, of which each takes at least one byte.
func (r *thriftReader) values(n uint64, kind byte) []any {
	if n > uint64(len(r.buf)-r.at) {
		panic(errThrift)
	}
	if r.depth++; r.depth > 32 {
		panic(errThrift)
	}
	defer func() { r.depth-- }()
	r.take(16 * int(n))
	list := make([]any, n)
	for i := range list {
		list[i] = r.value(kind)
	}
	return list
}

// mapping skips a map: nothing of ours is in one.
func (r *thriftReader) mapping() any {
	n := r.uvarint()
	if n == 0 {
		return nil
	}
	kinds := r.byte()
	if n > uint64(len(r.buf)-r.at) {
		panic(errThrift)
	}
	for range n {
		r.values(1, kinds>>4)
		r.values(1, kinds&15)
	}
	return nil
}

func (s thriftStruct) int(id int16) (x int64, ok bool) {
	x, ok = s[id].(int64)
	return x, ok
}

// number is int where a missing field means nothing.
func (s thriftStruct) number(id int16, missing int64) int64 {
	if x, ok := s.int(id); ok {
		return x
	}
	return missing
}

func (s thriftStruct) text(id int16) string {
	b, _ := s[id].([]byte)
	return string(b)
}

func (s thriftStruct) sub(id int16) thriftStruct {
	sub, _ := s[id].(thriftStruct)
	return sub
}

func (s thriftStruct) structs(id int16) ([]thriftStruct, error) {
	list, _ := s[id].([]any)
	all := make([]thriftStruct, len(list))
	for i, x := range list {
		var ok bool
		if all[i], ok = x.(thriftStruct); !ok {
			return nil, errThrift
		}
	}
	return all, nil
}
