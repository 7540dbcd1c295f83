package importer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
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
		place := place{read: read}
		line := 1
		for next := file.Records(); err == nil; {
			err = jsonRecord(next, func(raw []byte, bad error) bool {
				place.update(file.BytesRead())
				line++
				return yield(ready(rawRow{line: line - 1, raw: raw, err: bad}), nil)
			})
		}
		place.update(file.BytesRead())
		if err != io.EOF && err != errEnough {
			yield(rawRow{}, fmt.Errorf("importer: %s: %w", path, err))
		}
	}
}

// errEnough says that no more rows are wanted.
var errEnough = errors.New("enough")

// place adds what was read of a file to what was read of all files.
type place struct {
	read *int64
	told int64
}

func (p *place) update(at int64) {
	*p.read += at - p.told
	p.told = at
}

// jsonRecord renders the rows of the next record, one at a time: with dictionaries, all together may be far larger than the
// record. raw is valid until visit returns.
func jsonRecord(next func() (arrow.Record, error), visit func(raw []byte, bad error) bool) error {
	var rec arrow.Record
	err := columnar.Guard(func() (err error) {
		rec, err = next()
		return err
	})
	if err != nil {
		return err
	}
	defer rec.Release()
	field := rec.Schema().Field
	names := fieldNames(field, int(rec.NumCols()))
	var raw []byte
	for i := range int(rec.NumRows()) {
		err := columnar.Guard(func() (err error) {
			raw, err = appendFields(raw[:0], field, names, rec.Column, i)
			return err
		})
		if err != nil && err != errLongRow {
			return err
		}
		if !visit(raw, err) {
			return errEnough
		}
	}
	return nil
}

// appendJSON renders element i of an array. Times are texts, and so are bytes (as they are, if they are text, else in
// base 64); what is no number is null. A text that field says to be JSON stays as it is.
func appendJSON(to []byte, field arrow.Field, a arrow.Array, i int) ([]byte, error) {
	if a.IsNull(i) {
		return append(to, "null"...), nil
	}
	if len(to) > maxRow {
		return to[:0], errLongRow
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
		text := a.Value(i)
		switch {
		case len(text) > maxRow:
			return to[:0], errLongRow
		case isJSON(field) && json.Valid([]byte(text)):
			return append(to, text...), nil
		}
		return appendQuoted(to, text), nil
	case interface{ Value(int) []byte }:
		if len(a.Value(i)) > maxRow {
			return to[:0], errLongRow
		}
		return appendBytes(to, a.Value(i)), nil
	case *array.Dictionary:
		return appendJSON(to, field, a.Dictionary(), a.GetValueIndex(i))
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
	element := a.DataType().(arrow.ListLikeType).ElemField()
	to = append(to, '[')
	for j := start; j < end; j++ {
		if j > start {
			to = append(to, ',')
		}
		if to, err = appendJSON(to, element, values, int(j)); err != nil {
			return to, err
		}
	}
	return append(to, ']'), nil
}

func appendStruct(to []byte, a *array.Struct, i int) (_ []byte, err error) {
	row := a.DataType().(*arrow.StructType)
	return appendFields(to, row.Field, fieldNames(row.Field, row.NumFields()), a.Field, i)
}

// appendFields renders an object.
func appendFields(to []byte, field func(int) arrow.Field, names [][]byte, column func(int) arrow.Array, i int) (_ []byte, err error) {
	to = append(to, '{')
	for j, name := range names {
		if j > 0 {
			to = append(to, ',')
		}
		if to, err = appendJSON(append(to, name...), field(j), column(j), i); err != nil {
			return to, err
		}
	}
	return append(to, '}'), nil
}

// fieldNames are the keys of an object, quoted and with their colon.
func fieldNames(field func(int) arrow.Field, n int) [][]byte {
	names := make([][]byte, n)
	for i := range names {
		names[i] = append(appendQuoted(nil, field(i).Name), ':')
	}
	return names
}

// isJSON says whether the texts of a column are JSON: the Arrow project's extension type, whose name stays in the metadata.
func isJSON(field arrow.Field) bool {
	name, ok := field.Metadata.GetValue(ipc.ExtensionTypeKeyName)
	return ok && name == columnar.JSON
}
