package data

import (
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/google/renameio/v2"

	"github.com/tame-rlhf/tame/internal/columnar"
)

// ErrEmpty says that a dataset has no rows where a stage needs some.
var ErrEmpty = errors.New("data: dataset has no rows")

// NotEmpty is nil if there are rows, else ErrEmpty with the dataset's name or path.
func NotEmpty(name string, rows int) error {
	if rows > 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrEmpty, name)
}

// Write writes rows as an Arrow IPC file, or a Parquet file if the name ends in .parquet. The file appears complete or not
// at all: it is written beside its place, synced and renamed. The same rows and lineage give the same bytes.
func Write[T Row](path string, rows []T, lineage Lineage) error {
	return WriteSeq(path, func(yield func(T, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}, lineage)
}

// WriteSeq is Write for rows that come one at a time, such as Reader.Rows. After an error among them nothing is written.
// Its memory does not grow with the number of rows.
func WriteSeq[T Row](path string, rows iter.Seq2[T, error], lineage Lineage) error {
	return WriteCompressed(path, rows, lineage, DefaultCompression)
}

// WriteCompressed is WriteSeq with a compression of one's choice.
func WriteCompressed[T Row](path string, rows iter.Seq2[T, error], lineage Lineage, compression Compression) error {
	return writeSeq(path, rows, lineage, compression, memory.DefaultAllocator)
}

func writeSeq[T Row](path string, rows iter.Seq2[T, error], lineage Lineage, compression Compression, mem memory.Allocator) (err error) {
	table, err := tableOf[T]()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("data: write %s: %w", path, err)
		}
	}()
	schema, err := table.arrowSchema(lineage)
	if err != nil {
		return err
	}
	file, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer file.Cleanup() // does nothing once the file has its name

	w, err := newSink(path, file, schema, compression, mem)
	if err != nil {
		return err
	}
	b := array.NewRecordBuilder(mem, schema)
	defer b.Release()
	flush := func() error {
		rec := b.NewRecord()
		defer rec.Release()
		return columnar.Guard(func() error { return w.Write(rec) })
	}

	count, inBatch, size := 0, 0, 0
	for row, err := range rows {
		n := 0
		if err == nil {
			err = Validate(&row)
		}
		if err == nil {
			n, err = table.putFields(b.Field, reflect.ValueOf(&row).Elem())
		}
		if err != nil {
			return fmt.Errorf("row %d: %w", count, err)
		}
		count, inBatch, size = count+1, inBatch+1, size+n
		if inBatch == w.rows || size >= w.bytes {
			if err := flush(); err != nil {
				return err
			}
			inBatch, size = 0, 0
		}
	}
	if inBatch > 0 {
		err = flush()
	}
	if err == nil {
		err = columnar.Guard(w.Close)
	}
	if err == nil {
		err = file.CloseAtomicallyReplace()
	}
	return err
}

// Read reads all rows of a dataset. An empty dataset is no error; see NotEmpty.
func Read[T Row](path string) ([]T, Lineage, error) {
	r, err := Open[T](path)
	if err != nil {
		return nil, Lineage{}, err
	}
	defer r.Close()
	var all []T
	for row, err := range r.Rows() {
		if err != nil {
			return nil, Lineage{}, err
		}
		all = append(all, row)
	}
	return all, r.Lineage(), nil
}

// Validate calls the Validate method of a pointer to a row, if it has one.
func Validate(row any) error {
	if v, ok := row.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}
