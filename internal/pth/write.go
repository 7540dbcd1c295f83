package pth

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Source is a tensor to be written.
type Source struct {
	Name string
	// DType is F32, F16 or BF16.
	DType string
	// Shape has the outermost dimension first.
	Shape []int
	// Write writes the numbers, little endian, row by row.
	Write func(w io.Writer) error
	// SameAs is the name of an earlier tensor whose numbers these are, and then Write is nil; or empty.
	SameAs string
}

// The names inside of the archive, and what torch writes beside the tensors.
const (
	archiveName   = "consolidated"
	formatVersion = "3\n"
	alignment     = 64 // of the numbers in the file, so that torch can map it
)

// Write writes a file that torch.load reads, also with weights_only=True. It holds a dictionary of tensors.
func Write(w io.Writer, tensors []Source) error {
	pickle, err := encodePickle(tensors)
	if err != nil {
		return fmt.Errorf("pth: write: %w", err)
	}
	out := &counter{w: w}
	a := &archive{out: out, zip: zip.NewWriter(out)}
	a.add("data.pkl", text(pickle))
	a.add("byteorder", text("little"))
	for i, t := range tensors {
		if t.SameAs != "" {
			continue
		}
		want := t.elems() * dtypeBytes(t.DType)
		a.add("data/"+strconv.Itoa(i), func(w io.Writer) error {
			c := &counter{w: w}
			if err := t.Write(c); err != nil {
				return fmt.Errorf("tensor %q: %w", t.Name, err)
			}
			if c.n != want {
				return fmt.Errorf("tensor %q has %d bytes, want %d", t.Name, c.n, want)
			}
			return nil
		})
	}
	a.add("version", text(formatVersion))
	if err := errors.Join(a.err, a.zip.Close()); err != nil {
		return fmt.Errorf("pth: write: %w", err)
	}
	return nil
}

func text[T string | []byte](s T) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write([]byte(s))
		return err
	}
}

// archive writes entries until the first error.
type archive struct {
	out *counter
	zip *zip.Writer
	// tail is the size of the last entry's data descriptor, which is only written when the next entry begins.
	tail int64
	err  error
}

// add writes an entry so that its data begin at a multiple of the alignment: an extra field fills the gap, as torch does it.
func (a *archive) add(name string, write func(io.Writer) error) {
	if a.err != nil {
		return
	}
	if a.err = a.zip.Flush(); a.err != nil {
		return
	}
	const localHeader, extraHeader = 30, 4
	h := &zip.FileHeader{Name: archiveName + "/" + name, Method: zip.Store}
	at := a.out.n + a.tail + localHeader + int64(len(h.Name)) + extraHeader
	gap := (alignment - at%alignment) % alignment
	h.Extra = binary.LittleEndian.AppendUint16([]byte("FB"), uint16(gap))
	h.Extra = append(h.Extra, make([]byte, gap)...)
	w, err := a.zip.CreateHeader(h)
	data := &counter{w: w}
	if err == nil {
		err = write(data)
	}
	a.tail, a.err = 16, err
	if data.n > math.MaxUint32 {
		a.tail = 24 // with sizes of 64 bits
	}
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

func (t Source) elems() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		n *= int64(d)
	}
	return n
}

// encodePickle writes the description of the tensors: always the same program, with their names and shapes in it.
func encodePickle(tensors []Source) ([]byte, error) {
	index := make(map[string]int)
	b := []byte{opProto, 2, opEmptyDict, opMark}
	for i, t := range tensors {
		if _, dup := index[t.Name]; dup {
			return nil, fmt.Errorf("tensor %q is there twice", t.Name)
		}
		index[t.Name] = i
		key := i
		if t.SameAs != "" {
			first, ok := index[t.SameAs]
			if !ok || tensors[first].DType != t.DType || tensors[first].elems() != t.elems() {
				return nil, fmt.Errorf("tensor %q is to be the same as %q, which is no earlier tensor of its type and size", t.Name, t.SameAs)
			}
			key = first
		}
		class := ""
		for name, dtype := range storages {
			if dtype == t.DType {
				class = name
			}
		}
		if class == "" {
			return nil, fmt.Errorf("tensor %q is to be %q, want F32, F16 or BF16", t.Name, t.DType)
		}
		b = appendTensor(appendString(b, t.Name), t, class, strconv.Itoa(key))
	}
	return append(b, opSetItems, opStop), nil
}

// appendTensor writes the call of _rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict()).
func appendTensor(b []byte, t Source, class, key string) []byte {
	b = append(appendGlobal(b, rebuild), opMark)
	b = append(b, opMark)
	b = appendString(b, "storage")
	b = appendGlobal(b, class)
	b = appendString(appendString(b, key), "cpu")
	b = appendInt(b, t.elems())
	b = append(b, opTuple, opBinPersID)
	b = appendInt(b, 0)
	strides := make([]int64, len(t.Shape))
	n := int64(1)
	for i := len(strides) - 1; i >= 0; i-- {
		strides[i] = n
		n *= int64(t.Shape[i])
	}
	b = append(b, opMark)
	for _, d := range t.Shape {
		b = appendInt(b, int64(d))
	}
	b = append(b, opTuple, opMark)
	for _, s := range strides {
		b = appendInt(b, s)
	}
	b = append(b, opTuple, opNewFalse)
	b = append(appendGlobal(b, orderedDict), opEmptyTuple, opReduce)
	return append(b, opTuple, opReduce)
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(append(b, opBinUnicode), uint32(len(s))), s...)
}

// appendGlobal writes a name, its module and the rest in two lines.
func appendGlobal(b []byte, name string) []byte {
	dot := strings.LastIndexByte(name, '.')
	b = append(append(append(b, opGlobal), name[:dot]...), '\n')
	return append(append(b, name[dot+1:]...), '\n')
}

func appendInt(b []byte, v int64) []byte {
	if v == int64(int32(v)) && v <= math.MaxInt32 {
		return binary.LittleEndian.AppendUint32(append(b, opBinInt), uint32(v))
	}
	return binary.LittleEndian.AppendUint64(append(b, opLong1, 8), uint64(v))
}
