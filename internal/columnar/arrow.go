package columnar

import (
	"errors"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// arrowFile reads an Arrow IPC file.
type arrowFile struct {
	*ipc.FileReader
	next int
	mem  *limited
	open int // bytes that are taken since it was opened
}

func openArrow(file ipc.ReadAtSeeker, size int64, mem memory.Allocator) (*arrowFile, error) {
	if err := checkFooter(file, size); err != nil {
		return nil, err
	}
	limited := newLimited(mem, size)
	r, err := ipc.NewFileReader(file, ipc.WithAllocator(limited))
	if err != nil {
		return nil, err
	}
	if err := checkTypes(r.Schema()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &arrowFile{FileReader: r, mem: limited, open: limited.taken}, nil
}

func (a *arrowFile) NumRows() int      { return -1 }
func (a *arrowFile) Progress() float64 { return float64(a.next) / float64(max(1, a.NumRecords())) }

func (a *arrowFile) Records() func() (arrow.Record, error) {
	a.next, a.mem.taken = 0, a.open // a record that was left is no longer at hand
	return func() (arrow.Record, error) {
		if a.next == a.NumRecords() {
			return nil, io.EOF
		}
		a.next++
		return a.RecordAt(a.next - 1)
	}
}
