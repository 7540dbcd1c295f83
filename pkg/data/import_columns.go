package data

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// ownSchema is the form of the rows of a dataset that was written here; that of another file is empty.
func ownSchema(path string) (s Schema, err error) {
	err = withBatches(path, func(source batchSource) error {
		s = metaSchemaOf(source.schema().Metadata())
		return nil
	})
	return s, err
}

func metaSchemaOf(meta arrow.Metadata) (s Schema) {
	if i := meta.FindKey(metaSchema); i >= 0 {
		s.Name = meta.Values()[i]
		if v := meta.FindKey(metaVersion); v >= 0 {
			s.Version, _ = strconv.Atoi(meta.Values()[v])
		}
	}
	return s
}

// withBatches opens a file of columns for as long as f takes.
func withBatches(path string, f func(source batchSource) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	err = guard(func() error {
		source, err := openBatches(file, memory.DefaultAllocator)
		if err != nil {
			return err
		}
		defer source.close()
		return f(source)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// columnRows goes through the rows of an Arrow or Parquet file, each as a JSON object with a key for each column.
func columnRows(path string, read *int64) iter.Seq2[rawRow, error] {
	return func(yield func(rawRow, error) bool) {
		fail := func(err error) { yield(rawRow{}, fmt.Errorf("data: import %s: %w", path, err)) }
		file, err := os.Open(path)
		if err != nil {
			fail(err)
			return
		}
		defer file.Close()
		var source batchSource
		var next func() (arrow.Record, error)
		err = guard(func() (err error) {
			if source, err = openBatches(file, memory.DefaultAllocator); err == nil {
				next = source.begin()
			}
			return err
		})
		if err != nil {
			fail(err)
			return
		}
		defer source.close()
		place := newFilePlace(file, source, read)
		for line := 1; ; {
			raws, err := jsonBatch(next)
			place.update()
			for _, raw := range raws {
				if !yield(rawRow{line: line, raw: raw}, nil) {
					return
				}
				line++
			}
			if err == io.EOF {
				return
			}
			if err != nil {
				fail(err)
				return
			}
		}
	}
}

// filePlace tells how much of a file was read, which is not read from front to back.
type filePlace struct {
	source batchSource
	size   float64
	read   *int64
	told   int64
}

func newFilePlace(file *os.File, source batchSource, read *int64) *filePlace {
	p := &filePlace{source: source, read: read}
	if info, err := file.Stat(); err == nil {
		p.size = float64(info.Size())
	}
	return p
}

func (p *filePlace) update() {
	at := int64(p.size * min(1, p.source.done()))
	*p.read += at - p.told
	p.told = at
}

// jsonBatch renders the rows of the next batch.
func jsonBatch(next func() (arrow.Record, error)) (raws [][]byte, err error) {
	err = guard(func() error {
		rec, err := next()
		if err != nil {
			return err
		}
		defer rec.Release()
		names := make([][]byte, rec.NumCols())
		for i := range names {
			names[i] = append(appendQuoted(nil, rec.ColumnName(i)), ':')
		}
		for row := range int(rec.NumRows()) {
			raw := []byte{'{'}
			for i, name := range names {
				if i > 0 {
					raw = append(raw, ',')
				}
				if raw, err = appendJSON(append(raw, name...), rec.Column(i), row); err != nil {
					return err
				}
			}
			raws = append(raws, append(raw, '}'))
		}
		return nil
	})
	return raws, err
}

// appendJSON renders element i of an array. Times are texts, and so are bytes (as they are, if they are text, else in
// base 64); what is no number is null.
func appendJSON(to []byte, a arrow.Array, i int) ([]byte, error) {
	if a.IsNull(i) {
		return append(to, "null"...), nil
	}
	switch a := a.(type) {
	case *array.Null:
		return append(to, "null"...), nil
	case *array.Boolean:
		return strconv.AppendBool(to, a.Value(i)), nil
	case *array.Float64:
		return appendFloat(to, a.Value(i), 64), nil
	case *array.Float32:
		return appendFloat(to, float64(a.Value(i)), 32), nil
	case *array.Float16:
		return appendFloat(to, float64(a.Value(i).Float32()), 32), nil
	case *array.Uint64:
		return strconv.AppendUint(to, a.Value(i), 10), nil
	case array.StringLike:
		return appendQuoted(to, a.Value(i)), nil
	case *array.Binary:
		return appendBytes(to, a.Value(i)), nil
	case *array.LargeBinary:
		return appendBytes(to, a.Value(i)), nil
	case *array.FixedSizeBinary:
		return appendBytes(to, a.Value(i)), nil
	case *array.Dictionary:
		return appendJSON(to, a.Dictionary(), a.GetValueIndex(i))
	case array.ListLike:
		return appendList(to, a, i)
	case *array.Struct:
		return appendStruct(to, a, i)
	case *array.Date32:
		return appendQuoted(to, a.Value(i).ToTime().Format(time.DateOnly)), nil
	case *array.Timestamp:
		unit := a.DataType().(*arrow.TimestampType).Unit
		return appendQuoted(to, a.Value(i).ToTime(unit).UTC().Format(time.RFC3339Nano)), nil
	}
	if arrow.IsInteger(a.DataType().ID()) {
		return append(to, a.ValueStr(i)...), nil
	}
	return appendQuoted(to, a.ValueStr(i)), nil
}

func appendFloat(to []byte, x float64, bits int) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return append(to, "null"...)
	}
	return strconv.AppendFloat(to, x, 'g', -1, bits)
}

func appendBytes(to, b []byte) []byte {
	quoted := appendQuoted(nil, string(b))
	if len(quoted) == len(b)+2 && errUTF8 == decode(quoted, new(string)) {
		quoted = appendQuoted(nil, base64.StdEncoding.EncodeToString(b))
	}
	return append(to, quoted...)
}

func appendList(to []byte, a array.ListLike, i int) (_ []byte, err error) {
	start, end := a.ValueOffsets(i)
	values := a.ListValues()
	if start < 0 || end < start || end > int64(values.Len()) {
		return nil, fmt.Errorf("a list spans %d to %d of %d values: the file is damaged", start, end, values.Len())
	}
	to = append(to, '[')
	for j := start; j < end; j++ {
		if j > start {
			to = append(to, ',')
		}
		if to, err = appendJSON(to, values, int(j)); err != nil {
			return nil, err
		}
	}
	return append(to, ']'), nil
}

func appendStruct(to []byte, a *array.Struct, i int) (_ []byte, err error) {
	fields := a.DataType().(*arrow.StructType).Fields()
	to = append(to, '{')
	for j, field := range fields {
		if j > 0 {
			to = append(to, ',')
		}
		if to, err = appendJSON(append(appendQuoted(to, field.Name), ':'), a.Field(j), i); err != nil {
			return nil, err
		}
	}
	return append(to, '}'), nil
}

// ownRows goes through a dataset that was written here. It has no rows to refuse: a damaged one is an error.
func ownRows[T Row](ctx context.Context, im *Import, f importFile) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		r, err := Open[T](f.path)
		if err != nil {
			yield(zero, err)
			return
		}
		defer r.Close()
		place := newFilePlace(r.file, r.source, &im.read)
		for row, err := range r.Rows() {
			if err == nil {
				err = im.goesOn(ctx)
			}
			if err == nil {
				im.report.Read++
				im.report.Rows++
				place.update()
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}
