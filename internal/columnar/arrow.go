package columnar

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// arrowFile reads an Arrow IPC file.
type arrowFile struct {
	*ipc.FileReader
	next int
}

func openArrow(file ipc.ReadAtSeeker, size int64, mem memory.Allocator) (*arrowFile, error) {
	limit, err := checkFile(file, size)
	if err != nil {
		return nil, err
	}
	r, err := ipc.NewFileReader(file, ipc.WithAllocator(&limited{mem, limit}))
	if err != nil {
		return nil, err
	}
	if err := checkTypes(r.Schema()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &arrowFile{FileReader: r}, nil
}

func (a *arrowFile) NumRows() int      { return -1 }
func (a *arrowFile) Progress() float64 { return float64(a.next) / float64(max(1, a.NumRecords())) }

func (a *arrowFile) Records() func() (arrow.Record, error) {
	a.next = 0
	return func() (arrow.Record, error) {
		if a.next == a.NumRecords() {
			return nil, io.EOF
		}
		a.next++
		return a.RecordAt(a.next - 1)
	}
}

// checkFile refuses what is plainly no Arrow file, and returns the largest piece of memory that reading the file may
// ask for.
func checkFile(file io.ReaderAt, size int64) (limit int, err error) {
	head := make([]byte, len(ipc.Magic))
	switch _, err := file.ReadAt(head, 0); {
	case errors.Is(err, io.EOF):
		return 0, fmt.Errorf("is not an Arrow IPC file: it has %d bytes", size)
	case err != nil:
		return 0, err
	case !bytes.Equal(head, ipc.Magic):
		return 0, errors.New(`is no Arrow or Parquet file: it does not begin with "ARROW1" or "PAR1"`)
	}
	tail := make([]byte, len(ipc.Magic))
	if _, err := file.ReadAt(tail, size-int64(len(tail))); err != nil || !bytes.Equal(tail, ipc.Magic) {
		return 0, errors.New(`is cut off: it does not end with "ARROW1"`)
	}
	if err := checkFooter(file, size); err != nil {
		return 0, err
	}
	return sizeLimit(size), nil
}
