package data

import (
	"fmt"
	"io"
	"reflect"

	"github.com/apache/arrow/go/v15/arrow"
)

// Len is the number of rows. It looks at every record batch, but at no row; a Parquet file says it, which is believed as far as
// the file could hold so many.
func (r *Reader[T]) Len() (int, error) {
	if p, ok := r.source.(*parquetFile); ok {
		if n := p.rows(); n >= 0 && n <= sizeLimit(p.end) {
			return n, nil
		}
	}
	n := 0
	next := r.source.begin()
	for {
		err := guard(func() error {
			rec, err := next()
			if err != nil {
				return err
			}
			defer rec.Release()
			n += int(rec.NumRows())
			return nil
		})
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("data: read %s: %w", r.path, err)
		}
	}
}

// Check goes through all rows as Rows does, but does not stop at a bad one: every row that Rows would not give, and those that
// check refuses (if it is not nil), are told to bad, until that returns false. rows counts good and bad ones. The error is
// that of a file that cannot be read on.
func (r *Reader[T]) Check(check func(row T) error, bad func(row int, err error) bool) (rows int, err error) {
	next := r.source.begin()
	for i := 0; ; i++ {
		more, err := r.checkBatch(next, &rows, check, bad)
		if err == io.EOF {
			break
		}
		if err != nil {
			return rows, fmt.Errorf("data: read %s: record batch %d, behind row %d: %w", r.path, i, rows-1, err)
		}
		if !more {
			break
		}
	}
	return rows, nil
}

func (r *Reader[T]) checkBatch(next func() (arrow.Record, error), rows *int, check func(row T) error, bad func(row int, err error) bool) (more bool, err error) {
	more = true
	err = guard(func() error {
		rec, err := next()
		if err != nil {
			return err
		}
		defer rec.Release()
		for j := 0; j < int(rec.NumRows()) && more; j++ {
			var row T
			err := guard(func() error { return r.table.get(rec, r.at, j, reflect.ValueOf(&row).Elem()) })
			if err == nil {
				err = validate(&row)
			}
			if err == nil && check != nil {
				err = check(row)
			}
			if err != nil {
				more = bad(*rows, err)
			}
			*rows++
		}
		return nil
	})
	return more, err
}
