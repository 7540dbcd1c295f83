package data

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/tame-rlhf/tame/internal/columnar"
)

// Reader reads a dataset one record batch at a time.
type Reader[T Row] struct {
	path    string
	file    *columnar.File
	table   *table
	at      []int // column of the file for each field of the row, -1 where it is missing
	lineage Lineage
}

// Open opens a dataset, an Arrow IPC file or stream or a Parquet file, and checks that it holds rows of type T. Columns are
// found by name; columns that T does not have are left out (Unused), optional and nullable ones may be missing. A file that other programs wrote, without
// our metadata, is taken if its columns fit. Close the reader after use.
func Open[T Row](path string) (*Reader[T], error) { return open[T](path, memory.DefaultAllocator) }

func open[T Row](path string, mem memory.Allocator) (_ *Reader[T], err error) {
	table, err := tableOf[T]()
	if err != nil {
		return nil, err
	}
	file, err := columnar.Open(path, mem)
	if err != nil {
		return nil, fmt.Errorf("data: read %w", err)
	}
	r := &Reader[T]{path: path, file: file, table: table}
	if r.at, r.lineage, err = table.match(file.Schema()); err != nil {
		return nil, errors.Join(fmt.Errorf("data: read %s: %w", path, err), r.Close())
	}
	return r, nil
}

// Lineage says where the dataset comes from; it is empty for a file of other programs.
func (r *Reader[T]) Lineage() Lineage { return r.lineage }

// BytesRead is about how many bytes of the file were read since the last call of Rows, Len or Check.
func (r *Reader[T]) BytesRead() int64 { return r.file.BytesRead() }

// Unused returns the columns of the file that the rows do not have, and the fields of structs in its columns, such as
// messages[].name.
func (r *Reader[T]) Unused() []string { return r.table.unusedFields(r.file.Schema().Fields()) }

// Progress is the share of the file that the last Rows has read, in record batches. It depends on
// the number of rows read alone.
func (r *Reader[T]) Progress() float64 { return r.file.Progress() }

// Close closes the file. Rows that were read stay valid.
func (r *Reader[T]) Close() error { return r.file.Close() }

// Rows goes through all rows in order. After an error it ends. It may be called again.
func (r *Reader[T]) Rows() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		n := 0
		for next, err := r.file.Records(), error(nil); err == nil; {
			more := true
			err = r.record(next, func(row T, err error) bool {
				if err != nil {
					more = false
					yield(row, fmt.Errorf("data: read %s: row %d: %w", r.path, n, err))
					return false
				}
				n++
				more = yield(row, nil)
				return more
			})
			if !more || err == io.EOF {
				return
			}
			if err != nil {
				var zero T
				yield(zero, fmt.Errorf("data: read %s: %w", r.path, err))
			}
		}
	}
}

// record visits the rows of the next record, each with what is wrong with it, until visit returns false. Each is made when it
// is visited: with dictionaries, all together may be far larger than the record.
func (r *Reader[T]) record(next func() (arrow.Record, error), visit func(row T, err error) bool) error {
	var rec arrow.Record
	err := columnar.Guard(func() (err error) {
		rec, err = next()
		return err
	})
	if err != nil {
		return err
	}
	defer rec.Release()
	for i := range int(rec.NumRows()) {
		var row, zero T
		err := columnar.Guard(func() error { return r.table.get(rec, r.at, i, reflect.ValueOf(&row).Elem()) })
		if err == nil {
			err = Validate(&row)
		}
		if err != nil {
			row = zero
		}
		if !visit(row, err) {
			break
		}
	}
	return nil
}

// Len is the number of rows. It looks at every record, but at no row; a Parquet file says it, which is believed as far as
// the file could hold so many.
func (r *Reader[T]) Len() (int, error) {
	if n := r.file.NumRows(); n >= 0 {
		return n, nil
	}
	n := 0
	for next := r.file.Records(); ; {
		err := columnar.Guard(func() error {
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
	next := r.file.Records()
	more := true
	for i := 0; more; i++ {
		err := r.record(next, func(row T, err error) bool {
			if err == nil && check != nil {
				err = check(row)
			}
			if err != nil {
				more = bad(rows, err)
			}
			rows++
			return more
		})
		if err == io.EOF {
			break
		}
		if err != nil {
			return rows, fmt.Errorf("data: read %s: record batch %d, behind row %d: %w", r.path, i, rows-1, err)
		}
	}
	return rows, nil
}
