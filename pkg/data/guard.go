package data

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// guard turns a panic of the Arrow library, which trusts what is in a file, into an error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the file is damaged: %v", p)
		}
	}()
	return f()
}

// checkFile refuses what is plainly no Arrow file, and returns the largest piece of memory that reading the file may
// ask for.
func checkFile(file *os.File) (limit int, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	head := make([]byte, len(ipc.Magic))
	switch _, err := file.ReadAt(head, 0); {
	case errors.Is(err, io.EOF):
		return 0, fmt.Errorf("is not an Arrow IPC file: it has %d bytes", info.Size())
	case err != nil:
		return 0, err
	case !bytes.Equal(head, ipc.Magic):
		return 0, errors.New(`is no Arrow or Parquet file: it does not begin with "ARROW1" or "PAR1"`)
	}
	tail := make([]byte, len(ipc.Magic))
	if _, err := file.ReadAt(tail, info.Size()-int64(len(tail))); err != nil || !bytes.Equal(tail, ipc.Magic) {
		return 0, errors.New(`is cut off: it does not end with "ARROW1"`)
	}
	if err := checkFooter(file, info.Size()); err != nil {
		return 0, err
	}
	return sizeLimit(info.Size()), nil
}

// sizeLimit is the largest piece of memory that reading a file of that size may ask for. Other programs may compress; text
// hardly ever shrinks to a hundredth.
func sizeLimit(size int64) int { return int(min(100*size+1<<20, 8<<30, math.MaxInt)) }

// limited is an allocator that panics, for guard to catch, where a damaged length asks for more than the file can hold.
type limited struct {
	memory.Allocator
	limit int
}

func (l *limited) check(size int) {
	if size < 0 || size > l.limit {
		panic(fmt.Errorf("a piece of it claims %d bytes", size))
	}
}

// Allocate is memory.Allocator's.
func (l *limited) Allocate(size int) []byte {
	l.check(size)
	return l.Allocator.Allocate(size)
}

// Reallocate is memory.Allocator's.
func (l *limited) Reallocate(size int, b []byte) []byte {
	l.check(size)
	return l.Allocator.Reallocate(size, b)
}
