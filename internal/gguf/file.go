package gguf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// File is an open GGUF file.
type File struct {
	// Metadata are the entries in the order of the file.
	Metadata []KeyValue
	// Tensors is the table of tensors in the order of the file.
	Tensors []Tensor

	path    string
	data    []byte
	values  map[string]any
	tensors map[string]int
	unmap   func() error
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

// Open maps a file and reads its metadata and table of tensors.
func Open(path string) (*File, error) {
	data, unmap, err := mapFile(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	var f *File
	faultErr := guard(func() { f, err = parse(data) })
	if err = errors.Join(err, faultErr); err != nil {
		return nil, errors.Join(fmt.Errorf("gguf: %s: %w", path, err), unmap())
	}
	f.path, f.unmap = path, unmap
	return f, nil
}

// Close releases the file.
func (f *File) Close() error {
	if f.unmap == nil {
		return nil
	}
	err := f.unmap()
	f.unmap, f.data = nil, nil
	if err != nil {
		return fmt.Errorf("gguf: %s: %w", f.path, err)
	}
	return nil
}

// Path is the name it was opened by.
func (f *File) Path() string { return f.path }

// Value is the metadata of that key.
func (f *File) Value(key string) (any, bool) {
	v, ok := f.values[key]
	return v, ok
}

// Tensor is the entry of that name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.tensors[name]
	if !ok {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// Decode converts the rows lo to hi of a tensor of this file, seen as a matrix of rows of its innermost dimension, each into the numbers
// that place gives for it. Nothing is copied in between.
func (f *File) Decode(t Tensor, lo, hi int, place func(row int) []float32) error {
	rows, cols := rowsAndCols(t.Shape)
	switch {
	case !t.Type.Readable():
		return fmt.Errorf("gguf: %s: tensor %q is %v, want F32, F16, BF16 or Q8_0", f.path, t.Name, t.Type)
	case lo < 0 || hi > rows || t.end > int64(len(f.data)):
		return fmt.Errorf("gguf: %s: tensor %q has %d rows, not rows %d to %d, or the file is closed", f.path, t.Name, rows, lo, hi)
	}
	size := int64(t.Type.rowBytes(cols))
	err := guard(func() {
		for r := lo; r < hi; r++ {
			t.Type.DecodeRow(place(r)[:cols], f.data[t.begin+int64(r)*size:][:size])
		}
	})
	if err != nil {
		return fmt.Errorf("gguf: %s: tensor %q: %w", f.path, t.Name, err)
	}
	return nil
}

// guard runs a function that reads mapped memory. If the file was cut short meanwhile, its last pages are gone, and what would be the
// end of the process becomes an error.
func guard(read func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		fault, ok := r.(interface {
			error
			Addr() uintptr
		})
		if !ok {
			panic(r)
		}
		err = fmt.Errorf("the file cannot be read any more, was it cut short meanwhile? %w", fault)
	}()
	read()
	return nil
}
