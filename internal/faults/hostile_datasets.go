package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
)

// texts is a schema of one column.
func texts(t arrow.DataType) *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{{Name: "text", Type: t}}, nil)
}

// table is a schema and its batches, which are made one after the other.
type table struct {
	schema  *arrow.Schema
	batches int
	batch   func(b *array.RecordBuilder)
}

// oneText is a column of the same text, rows times.
func oneText(length int64, rows, batches int) table {
	return table{texts(arrow.BinaryTypes.String), batches, func(b *array.RecordBuilder) {
		for range rows {
			b.Field(0).(*array.StringBuilder).Append(strings.Repeat("a", int(length)))
		}
	}}
}

// dictionary is a column whose rows all stand for one long text.
func dictionary(length int64, rows int) table {
	return table{texts(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}), 1, func(b *array.RecordBuilder) {
		text := strings.Repeat("a", int(length))
		for range rows {
			_ = b.Field(0).(*array.BinaryDictionaryBuilder).AppendString(text)
		}
	}}
}

// columns is a table of that many columns, and one row.
func columns(n int) table {
	fields := []arrow.Field{{Name: "text", Type: arrow.BinaryTypes.String}}
	for i := range n {
		fields = append(fields, arrow.Field{Name: fmt.Sprint("c", i), Type: arrow.BinaryTypes.String})
	}
	return table{arrow.NewSchema(fields, nil), 1, func(b *array.RecordBuilder) {
		for i := range b.Fields() {
			b.Field(i).(*array.StringBuilder).Append("x")
		}
	}}
}

// nested is a table whose column is a list of lists of lists ...; the deeper ones have no rows, which the library would refuse to write.
func nested(depth, batches int) table {
	var t arrow.DataType = arrow.BinaryTypes.String
	for range depth {
		t = arrow.ListOf(t)
	}
	return table{texts(t), batches, func(b *array.RecordBuilder) { b.Field(0).AppendNull() }}
}

// described is a table with a long value in the metadata of its schema.
func described(key, value string) table {
	t := oneText(1, 1, 1)
	m := arrow.NewMetadata([]string{key}, []string{value})
	t.schema = arrow.NewSchema(t.schema.Fields(), &m)
	return t
}

func (t table) each(write func(arrow.Record) error) error {
	builder := array.NewRecordBuilder(memory.DefaultAllocator, t.schema)
	defer builder.Release()
	for range t.batches {
		t.batch(builder)
		record := builder.NewRecord()
		err := write(record)
		record.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// hidden keeps a library from closing what it writes to.
type hidden struct{ io.Writer }

func arrowFile(make func(n int64) table, options ...ipc.Option) func(w *bufio.Writer, n int64) error {
	return func(w *bufio.Writer, n int64) error {
		t := make(n)
		f, err := ipc.NewFileWriter(&position{w: w}, append(options, ipc.WithSchema(t.schema))...)
		if err != nil {
			return err
		}
		if err := t.each(f.Write); err != nil {
			return err
		}
		return f.Close()
	}
}

// position is a writer that knows where it is, as the Arrow library asks for.
type position struct {
	w  io.Writer
	at int64
}

func (p *position) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.at += int64(n)
	return n, err
}

func (p *position) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return 0, fmt.Errorf("seek to %d from %d in a stream", offset, whence)
	}
	return p.at, nil
}

func parquetFile(make func(n int64) table, codec compress.Compression, dictionary bool) func(w *bufio.Writer, n int64) error {
	return func(w *bufio.Writer, n int64) error {
		t := make(n)
		props := parquet.NewWriterProperties(parquet.WithCompression(codec), parquet.WithDictionaryDefault(dictionary), parquet.WithDictionaryPageSizeLimit(1<<30), parquet.WithStats(false))
		f, err := pqarrow.NewFileWriter(t.schema, hidden{w}, props, pqarrow.DefaultWriterProps())
		if err != nil {
			return err
		}
		if err := t.each(f.Write); err != nil {
			return err
		}
		return f.Close()
	}
}

// hostileDatasets are Arrow and Parquet files that follow their formats and are much larger in memory.
func hostileDatasets() map[string]hostile {
	of := func(t table) func(int64) table { return func(int64) table { return t } }
	long := func(times int64) func(int64) table { return func(n int64) table { return oneText(times*n, 1, 1) } }
	deep := strings.Repeat("[", 1_000_000)
	all := map[string]hostile{}
	for name, write := range map[string]func(w *bufio.Writer, n int64) error{
		"dictionary.arrow":    arrowFile(func(n int64) table { return dictionary(n/16, 1000) }),
		"zeros-zstd.arrow":    arrowFile(long(16), ipc.WithZstd()),
		"zeros-lz4.arrow":     arrowFile(long(16), ipc.WithLZ4()),
		"shrunk-zstd.arrow":   arrowFile(of(oneText(10_000, 10, 200)), ipc.WithZstd()),
		"one-text.arrow":      arrowFile(long(1)),
		"columns.arrow":       arrowFile(of(columns(100_000))),
		"batches.arrow":       arrowFile(of(oneText(1, 1, 50_000))),
		"empty-batches.arrow": arrowFile(of(oneText(1, 0, 50_000))),
		"nested.arrow":        arrowFile(of(nested(60, 1))),
		"deep.arrow":          arrowFile(of(nested(5_000, 0))),
		"lineage-deep.arrow":  arrowFile(of(described("tame.lineage", `{"stage": `+deep))),
		"lineage-long.arrow": arrowFile(func(n int64) table {
			return described("tame.lineage", `{"stage": "x", "inputs": [{}`+strings.Repeat(`,{}`, int(n/3))+"]}")
		}),
		"metadata.arrow":       arrowFile(func(n int64) table { return described("x", strings.Repeat("a", int(n))) }),
		"dictionary.parquet":   parquetFile(func(n int64) table { return oneText(n/256, 1000, 1) }, compress.Codecs.Zstd, true),
		"zeros-zstd.parquet":   parquetFile(long(16), compress.Codecs.Zstd, false),
		"zeros-gzip.parquet":   parquetFile(long(16), compress.Codecs.Gzip, false),
		"zeros-snappy.parquet": parquetFile(long(16), compress.Codecs.Snappy, false),
		"shrunk-zstd.parquet":  parquetFile(of(oneText(10_000, 10, 200)), compress.Codecs.Zstd, false),
		"columns.parquet":      parquetFile(of(columns(20_000)), compress.Codecs.Uncompressed, false),
		"groups.parquet":       parquetFile(of(oneText(1, 1, 5_000)), compress.Codecs.Uncompressed, false),
		"empty-groups.parquet": parquetFile(of(oneText(1, 0, 5_000)), compress.Codecs.Uncompressed, false),
		"nested.parquet":       parquetFile(of(nested(60, 1)), compress.Codecs.Uncompressed, false),
		"deep.parquet":         parquetFile(of(nested(2_000, 0)), compress.Codecs.Uncompressed, false),
		"lineage-deep.parquet": parquetFile(of(described("tame.lineage", `{"stage": `+deep)), compress.Codecs.Uncompressed, false),
	} {
		unpacked := int64(0)
		if strings.HasPrefix(name, "zeros-") {
			unpacked = 16
		}
		all[name] = hostile{file: name, write: write, unpacked: unpacked, commands: []string{
			"data head FILE -n 1", "data head FILE -n 3 --json", "data stats FILE", "data validate FILE", "data shuffle FILE out.arrow", "convert data FILE out.arrow", "lineage FILE",
		}}
	}
	return all
}
