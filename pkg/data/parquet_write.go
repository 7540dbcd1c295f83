package data

import (
	"errors"
	"io"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	pq "github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"github.com/tame-rlhf/tame/internal/enum"
)

// Compression of a dataset.
type Compression int

// The compressions. Parquet has no LZ4 that all programs read.
const (
	DefaultCompression Compression = iota // none for Arrow, Zstd for Parquet
	NoCompression
	LZ4
	Zstd
)

var compressionNames = []string{DefaultCompression: "default", NoCompression: "none", LZ4: "lz4", Zstd: "zstd"}

// String is default, none, lz4 or zstd.
func (c Compression) String() string { return enum.String("Compression", c, compressionNames) }

// MarshalText is String for known compressions.
func (c Compression) MarshalText() ([]byte, error) {
	return enum.Marshal("compression", c, compressionNames)
}

// UnmarshalText reads what MarshalText writes.
func (c *Compression) UnmarshalText(text []byte) error {
	return enum.Unmarshal("compression", text, c, compressionNames)
}

// A record batch is closed when it has that many rows or about that many bytes. Parquet's row groups are larger, because
// each column of each describes itself.
const (
	batchRows  = 1024
	batchBytes = 8 << 20
	groupRows  = 16 << 10
	groupBytes = 16 << 20
)

var errParquetLZ4 = errors.New("a Parquet file with LZ4 is not read everywhere: choose zstd or none")

// sink takes record batches.
type sink struct {
	recordWriter
	rows, bytes int // at most in a batch
}

type recordWriter interface {
	Write(rec arrow.Record) error
	Close() error
}

// IsParquet says whether a dataset of that name is written as Parquet.
func IsParquet(path string) bool { return strings.HasSuffix(strings.ToLower(path), ".parquet") }

func newSink(path string, file io.WriteSeeker, schema *arrow.Schema, compression Compression, mem memory.Allocator) (sink, error) {
	if _, err := compression.MarshalText(); err != nil {
		return sink{}, err
	}
	if IsParquet(path) {
		w, err := parquetWriter(file, schema, compression, mem)
		return sink{w, groupRows, groupBytes}, err
	}
	options := []ipc.Option{ipc.WithSchema(schema), ipc.WithAllocator(mem)}
	switch compression {
	case LZ4:
		options = append(options, ipc.WithLZ4(), ipc.WithCompressConcurrency(1))
	case Zstd:
		options = append(options, ipc.WithZstd(), ipc.WithCompressConcurrency(1))
	}
	w, err := ipc.NewFileWriter(file, options...)
	return sink{w, batchRows, batchBytes}, err
}

func parquetWriter(file io.Writer, schema *arrow.Schema, compression Compression, mem memory.Allocator) (recordWriter, error) {
	codecs := map[Compression]compress.Compression{
		DefaultCompression: compress.Codecs.Zstd, NoCompression: compress.Codecs.Uncompressed, Zstd: compress.Codecs.Zstd,
	}
	codec, ok := codecs[compression]
	if !ok {
		return nil, errParquetLZ4
	}
	// Without dictionaries: texts are hardly ever the same, and a dictionary is held in memory.
	props := pq.NewWriterProperties(pq.WithAllocator(mem), pq.WithCompression(codec), pq.WithDictionaryDefault(false), pq.WithStats(false),
		pq.WithCreatedBy("tame"), pq.WithVersion(pq.V2_LATEST))
	// The library closes what it writes to; the file is closed by who opened it.
	return pqarrow.NewFileWriter(schema, struct{ io.Writer }{file}, props, pqarrow.NewArrowWriterProperties(pqarrow.WithAllocator(mem)))
}
