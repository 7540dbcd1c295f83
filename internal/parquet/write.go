package parquet

import (
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
	pq "github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
)

// NewWriter writes each record as a row group, with Zstandard or uncompressed. Closing it does not close w.
func NewWriter(w io.Writer, schema *arrow.Schema, zstandard bool, mem memory.Allocator) (*pqarrow.FileWriter, error) {
	codec := compress.Codecs.Uncompressed
	if zstandard {
		codec = compress.Codecs.Zstd
	}
	// Without dictionaries: texts are hardly ever the same, and a dictionary is held in memory.
	props := pq.NewWriterProperties(pq.WithAllocator(mem), pq.WithCompression(codec), pq.WithDictionaryDefault(false), pq.WithStats(false),
		pq.WithCreatedBy("tame"), pq.WithVersion(pq.V2_LATEST))
	// The library closes what it writes to; the file is closed by who opened it.
	return pqarrow.NewFileWriter(schema, struct{ io.Writer }{w}, props, pqarrow.NewArrowWriterProperties(pqarrow.WithAllocator(mem)))
}
