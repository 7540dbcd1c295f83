package columnar

import (
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// arrowStream reads an Arrow IPC stream, the form in which Hugging Face keeps data sets. It must be a file, so that what
// it claims can be compared with what is there.
type arrowStream struct {
	in     *io.SectionReader
	mem    memory.Allocator
	schema *arrow.Schema
}

func openStream(file io.ReaderAt, size int64, mem memory.Allocator) (*arrowStream, error) {
	if err := checkStream(file, size); err != nil {
		return nil, err
	}
	s := &arrowStream{in: io.NewSectionReader(file, 0, size), mem: mem}
	r, err := s.reader()
	if err != nil {
		return nil, err
	}
	defer r.Release()
	s.schema = r.Schema()
	return s, checkTypes(s.schema)
}

// reader starts at the first message.
func (s *arrowStream) reader() (*ipc.Reader, error) {
	s.in = io.NewSectionReader(s.in, 0, s.in.Size())
	return ipc.NewReader(s.in, ipc.WithAllocator(newLimited(s.mem, s.in.Size())))
}

func (s *arrowStream) Schema() *arrow.Schema { return s.schema }
func (s *arrowStream) NumRows() int          { return -1 }

func (s *arrowStream) Progress() float64 {
	at, _ := s.in.Seek(0, io.SeekCurrent) // a SectionReader knows its place
	return float64(at) / float64(max(1, s.in.Size()))
}

func (s *arrowStream) Records() func() (arrow.Record, error) {
	r, err := s.reader()
	return func() (arrow.Record, error) {
		if err != nil {
			return nil, err
		}
		rec, err := r.Read()
		if err != nil {
			r.Release()
			return nil, err
		}
		rec.Retain()
		return rec, nil
	}
}
