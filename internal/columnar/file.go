package columnar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/tame-rlhf/tame/internal/parquet"
)

// records is a file of columns in one of the formats.
type records interface {
	Schema() *arrow.Schema
	// Records starts at the first row and returns a function that reads the next record, until io.EOF. The caller
	// releases the records.
	Records() func() (arrow.Record, error)
	// NumRows is the number of rows that the file claims to have, -1 if it does not say.
	NumRows() int
	// Progress is about the share of the file that was read since the last call of Records.
	Progress() float64
}

// File is an open Arrow IPC file or stream, Parquet file, or folder of these that the datasets library saved. It is read in one goroutine at a time, under Guard.
type File struct {
	records
	file io.Closer
	size int64
}

// Open opens a file, whatever its format, and checks that what its description claims is there. Records are made in mem.
func Open(path string, mem memory.Allocator) (_ *File, err error) {
	if isSaved(path) {
		return openSaved(path, mem)
	}
	file, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	f := &File{file: file, size: size}
	err = Guard(func() error { f.records, err = open(file, size, mem); return err })
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func openRegular(path string) (*os.File, int64, error) {
	file, err := os.Open(path)
	var info fs.FileInfo
	if err == nil {
		info, err = file.Stat()
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.Join(errors.New("is not a regular file"), file.Close())
	}
	var known *fs.PathError
	if errors.As(err, &known) {
		err = known.Err // the path is reported here
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	return file, info.Size(), nil
}

func open(file *os.File, size int64, mem memory.Allocator) (records, error) {
	head, err := readHead(file)
	switch {
	case err != nil:
		return nil, err
	case bytes.HasPrefix(head, parquetMagic):
		return parquet.Open(file, size, mem)
	case bytes.HasPrefix(head, streamMagic):
		return openStream(file, size, mem)
	case len(head) < len(ipc.Magic):
		return nil, fmt.Errorf("is not an Arrow IPC file: it has %d bytes", size)
	case !bytes.Equal(head, ipc.Magic):
		return nil, errors.New(`is no Arrow or Parquet file: it does not begin with "ARROW1" or "PAR1"`)
	}
	return openArrow(file, size, mem)
}

// BytesRead is about how many bytes of the file were read since the last call of Records.
func (f *File) BytesRead() int64 { return int64(float64(f.size) * min(1, f.Progress())) }

// Size is how many bytes the file has, or all files of the folder.
func (f *File) Size() int64 { return f.size }

// Close closes the file. Records stay valid.
func (f *File) Close() error {
	if r, ok := f.records.(io.Closer); ok {
		return errors.Join(r.Close(), f.file.Close())
	}
	return f.file.Close()
}

// JSON is the name of the extension type, in a field's metadata, of texts that are JSON.
const JSON = parquet.JSON

// How files begin, besides ipc.Magic.
var (
	parquetMagic = []byte(parquet.Magic)
	streamMagic  = []byte{0xff, 0xff, 0xff, 0xff}
)

func readHead(file io.ReaderAt) ([]byte, error) {
	head := make([]byte, len(ipc.Magic))
	n, err := file.ReadAt(head, 0)
	if err == io.EOF {
		err = nil
	}
	return head[:n], err
}

// Is says whether a file begins like a file of columns, or a folder is one of the datasets library. Nothing else that is not a
// regular file is looked into.
func Is(path string) (bool, error) {
	if isSaved(path) {
		return true, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	head, err := readHead(file)
	return bytes.Equal(head, ipc.Magic) || bytes.HasPrefix(head, streamMagic) || bytes.HasPrefix(head, parquetMagic), err
}

// Metadata reads the key-value metadata of a file.
func Metadata(path string) (arrow.Metadata, error) {
	f, err := Open(path, memory.DefaultAllocator)
	if err != nil {
		return arrow.Metadata{}, err
	}
	return f.Schema().Metadata(), f.Close()
}
