package importer

import (
	"encoding/base64"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/tame-rlhf/tame/internal/columnar"
)

// columnRows goes through the rows of an Arrow or Parquet file, each as a JSON object with a key for each column.
func columnRows(path string, read *int64) iter.Seq2[rawRow, error] {
	return func(yield func(rawRow, error) bool) {
		file, err := columnar.Open(path, memory.DefaultAllocator)
		if err != nil {
			yield(rawRow{}, fmt.Errorf("importer: %w", err))
			return
		}
		defer file.Close()
		next := file.Records()
		place := place{read: read}
		for line := 1; ; {
			raws, err := jsonBatch(next)
			place.update(file.BytesRead())
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
				yield(rawRow{}, fmt.Errorf("importer: %s: %w", path, err))
				return
			}
		}
	}
}

// place adds what was read of a file to what was read of all files.
type place struct {
	read *int64
	told int64
}

func (p *place) update(at int64) {
	*p.read += at - p.told
	p.told = at
}

// jsonBatch renders the rows of the next batch.
func jsonBatch(next func() (arrow.Record, error)) (raws [][]byte, err error) {
	err = columnar.Guard(func() error {
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
