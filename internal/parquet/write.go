package parquet

import (
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
	pq "github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
)

// Writer writes a file.
type Writer struct {
	out  output
	file *pqarrow.FileWriter
}

// NewWriter writes each record as a row group, with Zstandard or uncompressed. Closing it does not close w.
func NewWriter(w io.Writer, schema *arrow.Schema, zstandard bool, mem memory.Allocator) (*Writer, error) {
	codec := compress.Codecs.Uncompressed
	if zstandard {
		codec = compress.Codecs.Zstd
	}
	// Without dictionaries: texts are hardly ever the same, and a dictionary is held in memory.
	props := pq.NewWriterProperties(pq.WithAllocator(mem), pq.WithCompression(codec), pq.WithDictionaryDefault(false), pq.WithStats(false),
		pq.WithCreatedBy("tame"), pq.WithVersion(pq.V2_LATEST))
	p := &Writer{out: output{w: w}}
	err := p.out.guard(func() (err error) {
		p.file, err = pqarrow.NewFileWriter(schema, &p.out, props, pqarrow.NewArrowWriterProperties(pqarrow.WithAllocator(mem)))
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Write writes a record.
func (p *Writer) Write(rec arrow.Record) error {
	return p.out.guard(func() error { return p.file.Write(rec) })
}

// Close writes the end of the file.
func (p *Writer) Close() error { return p.out.guard(p.file.Close) }

// output keeps the first error of what is written to: the library panics with other words for some of them, such as a full disk's, and
// drops others. It has no Close: the library closes what it writes to, but the file is closed by who opened it.
type output struct {
	w   io.Writer
	err error
}

// Write implements io.Writer. After an error nothing more is written.
func (o *output) Write(b []byte) (n int, err error) {
	if o.err == nil {
		n, o.err = o.w.Write(b)
	}
	return n, o.err
}

// guard calls the library, and returns the error of the output if there was one.
func (o *output) guard(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("parquet: %v", p)
		}
		if o.err != nil {
			err = o.err
		}
	}()
	return call()
}
