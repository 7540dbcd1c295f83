package gguf

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
)

// File is an open GGUF file.
type File struct {
	// Metadata are the entries in the order of the file.
	Metadata []KeyValue
	// Values are the metadata by their keys.
	Values map[string]any
	// Tensors is the table of tensors in the order of the file.
	Tensors []Tensor

	path    string
	r       io.ReaderAt
	size    int64
	tensors map[string]int
	close   func() error
}

// Sniff says whether the file begins like a GGUF file. A file that cannot be read does not.
func Sniff(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // nothing was written
	var head [len(magic)]byte
	_, err = io.ReadFull(f, head[:])
	return err == nil && string(head[:]) == magic
}

// Open reads a file's metadata and table of tensors.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	f, err := openFile(file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gguf: %s: %w", path, err), file.Close())
	}
	f.path, f.close = path, file.Close
	return f, nil
}

func openFile(file *os.File) (*File, error) {
	stat, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !stat.Mode().IsRegular():
		return nil, errors.New("it is not a file")
	case stat.Size() < headerBytes || stat.Size() > math.MaxInt:
		return nil, fmt.Errorf("it has %d bytes: not a GGUF file", stat.Size())
	}
	return parse(file, stat.Size())
}

// Close releases the file.
func (f *File) Close() error {
	if err := f.close(); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

// Tensor is the entry of that name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.tensors[name]
	if !ok {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// decodeBytes is how much is read at once: so little that it is still in the processor's cache when it is converted.
const decodeBytes = 1 << 18

var buffers = sync.Pool{New: func() any { b := make([]byte, decodeBytes); return &b }}

// Decode converts the rows lo to hi of a tensor of this file, seen as a matrix of rows of its innermost dimension, each into the numbers
// that place gives for it. Rows of F32 that lie side by side there are read to where they belong.
func (f *File) Decode(t Tensor, lo, hi int, place func(row int) []float32) error {
	rows, cols := rowsAndCols(t.Shape)
	switch {
	case !t.Type.Readable():
		return fmt.Errorf("gguf: %s: tensor %q is %v, want one of %s", f.path, t.Name, t.Type, ReadableTypes)
	case lo < 0 || hi > rows || t.end > f.size:
		return fmt.Errorf("gguf: %s: tensor %q has %d rows, not rows %d to %d", f.path, t.Name, rows, lo, hi)
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	size := t.Type.rowBytes(cols)
	for lo < hi {
		raw, n := *buf, 0
		dst := place(lo)
		if t.Type == F32 && LittleEndian {
			n = sideBySide(dst, lo, hi, cols, place)
			raw = BytesOf(dst[:n*cols])
		} else {
			n = min(hi-lo, max(1, len(raw)/size))
			if len(raw) < n*size { // one long row
				raw = make([]byte, size)
			}
			raw = raw[:n*size]
		}
		if _, err := f.r.ReadAt(raw, t.begin+int64(lo)*int64(size)); err != nil {
			return fmt.Errorf("gguf: %s: tensor %q: %w", f.path, t.Name, unreadable(err))
		}
		if t.Type != F32 || !LittleEndian {
			for i := range n {
				t.Type.DecodeRow(place(lo + i)[:cols], raw[i*size:][:size])
			}
		}
		lo += n
	}
	return nil
}

// sideBySide counts the rows from lo on that lie one after the other in memory.
func sideBySide(first []float32, lo, hi, cols int, place func(row int) []float32) int {
	first = first[:cap(first)]
	n := 1
	for lo+n < hi && len(first) >= (n+1)*cols && &first[n*cols] == &place(lo + n)[0] {
		n++
	}
	return n
}

// unreadable is the error for bytes that a file had when it was opened.
func unreadable(err error) error {
	return fmt.Errorf("the file cannot be read any more, was it cut short meanwhile? %w", err)
}
