package data

import (
	"bytes"
	"errors"
	"io"
	"os"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// batchSource is a file of columns. Its methods may panic where the file is damaged: call them under guard.
type batchSource interface {
	schema() *arrow.Schema
	// begin returns a function that reads the next batch, until io.EOF. A batch is the caller's to release.
	begin() func() (arrow.Record, error)
	// done is the share of the file that was read since begin, about.
	done() float64
	close()
}

// form is how a file is built.
type form int

const (
	notColumns form = iota
	arrowFile
	arrowStream
	parquet
)

// streamMagic begins an Arrow IPC stream.
var streamMagic = []byte{0xff, 0xff, 0xff, 0xff}

func formOf(file io.ReaderAt) (form, error) {
	head := make([]byte, len(ipc.Magic))
	n, err := file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return notColumns, err
	}
	switch head = head[:n]; {
	case bytes.Equal(head, ipc.Magic):
		return arrowFile, nil
	case bytes.HasPrefix(head, streamMagic):
		return arrowStream, nil
	case bytes.HasPrefix(head, parquetMagic):
		return parquet, nil
	}
	return notColumns, nil
}

// columnForm looks at the beginning of a file. What is no regular file has no columns.
func columnForm(path string) (form, error) {
	file, err := os.Open(path)
	if err != nil {
		return notColumns, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return notColumns, err
	}
	return formOf(file)
}

// openBatches opens a file of columns, whatever its form.
func openBatches(file *os.File, mem memory.Allocator) (batchSource, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	form, err := formOf(file)
	if err != nil {
		return nil, err
	}
	switch form {
	case parquet:
		return openParquet(file, mem)
	case arrowStream:
		return openStream(file, info.Size(), mem)
	}
	limit, err := checkFile(file)
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
	return &arrowBatches{r: r}, nil
}

// arrowBatches reads an Arrow IPC file.
type arrowBatches struct {
	r    *ipc.FileReader
	next int
}

func (a *arrowBatches) schema() *arrow.Schema { return a.r.Schema() }
func (a *arrowBatches) close()                { a.r.Close() }
func (a *arrowBatches) done() float64         { return float64(a.next) / float64(max(1, a.r.NumRecords())) }

func (a *arrowBatches) begin() func() (arrow.Record, error) {
	next, batches := 0, a.r.NumRecords()
	return func() (arrow.Record, error) {
		if next == batches {
			return nil, io.EOF
		}
		next++
		a.next = next
		return a.r.RecordAt(next - 1)
	}
}

// streamBatches reads an Arrow IPC stream, the form in which Hugging Face keeps data sets. It must be a file, so that what
// it claims can be compared with what is there.
type streamBatches struct {
	file  *os.File
	size  int64
	mem   memory.Allocator
	first *arrow.Schema
	read  int64
}

func openStream(file *os.File, size int64, mem memory.Allocator) (*streamBatches, error) {
	if err := checkStream(file, size); err != nil {
		return nil, err
	}
	s := &streamBatches{file: file, size: size, mem: &limited{mem, sizeLimit(size)}}
	r, err := s.reader()
	if err != nil {
		return nil, err
	}
	defer r.Release()
	s.first = r.Schema()
	return s, checkTypes(s.first)
}

func (s *streamBatches) reader() (*ipc.Reader, error) {
	s.read = 0
	return ipc.NewReader(&counter{io.NewSectionReader(s.file, 0, s.size), &s.read}, ipc.WithAllocator(s.mem))
}

func (s *streamBatches) schema() *arrow.Schema { return s.first }
func (s *streamBatches) close()                {}
func (s *streamBatches) done() float64         { return float64(s.read) / float64(max(1, s.size)) }

func (s *streamBatches) begin() func() (arrow.Record, error) {
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
