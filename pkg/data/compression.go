package data

import (
	"errors"
	"io"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/tame-rlhf/tame/internal/enum"
	"github.com/tame-rlhf/tame/internal/parquet"
)

// Compression of a dataset.
type Compression int

// The compressions. Parquet has no LZ4 that all programs read.
const (
	DefaultCompression Compression = iota // Zstd, whose frames have a checksum: a flipped bit in a row is seen
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
		if compression == LZ4 {
			return sink{}, errParquetLZ4
		}
		w, err := parquet.NewWriter(file, schema, compression != NoCompression, mem)
		return sink{w, groupRows, groupBytes}, err
	}
	options := []ipc.Option{ipc.WithSchema(schema), ipc.WithAllocator(mem)}
	switch compression {
	case LZ4:
		options = append(options, ipc.WithLZ4(), ipc.WithCompressConcurrency(1))
	case DefaultCompression, Zstd:
		options = append(options, ipc.WithZstd(), ipc.WithCompressConcurrency(1))
	}
	w, err := ipc.NewFileWriter(file, options...)
	return sink{w, batchRows, batchBytes}, err
}
