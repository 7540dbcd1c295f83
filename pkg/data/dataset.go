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
	all, err := tableOf[T]()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("data: write %s: %w", path, err)
		}
	}()
	create := func(columns *table) (*batchWriter, error) {
		return newBatchWriter(path, columns, lineage, compression, mem)
	}
	w, err := create(all.narrow())
	if err != nil {
		return err
	}
	defer func() { w.drop() }()
	count := 0
	for row, err := range rows {
		if err == nil {
			err = Validate(&row)
		}
		v := reflect.ValueOf(&row).Elem()
		if err == nil && len(w.table.fields) < len(all.fields) && all.needs(v) {
			w, err = widen[T](w, func() (*batchWriter, error) { return create(all) })
		}
		if err == nil {
			err = w.put(v)
		}
		if err != nil {
			return fmt.Errorf("row %d: %w", count, err)
		}
		count++
	}
	if err = w.close(); err == nil {
		err = w.file.CloseAtomicallyReplace()
	}
	return err
}

// widen starts a file that has the columns which none of the rows before needed, and takes these over.
func widen[T Row](narrow *batchWriter, create func() (*batchWriter, error)) (w *batchWriter, err error) {
	if err := narrow.close(); err != nil {
		return narrow, err
	}
	w, err = create()
	if err != nil {
		return narrow, err
	}
	defer narrow.drop()
	r, err := Open[T](narrow.file.Name())
	if err != nil {
		return w, err
	}
	defer r.Close()
	for row, err := range r.Rows() {
		if err == nil {
			err = w.put(reflect.ValueOf(&row).Elem())
		}
		if err != nil {
			return w, err
		}
	}
	return w, nil
}

// batchWriter writes rows into a file that has no name yet.
type batchWriter struct {
	sink
	table         *table
	file          *renameio.PendingFile
	builder       *array.RecordBuilder
	inBatch, size int
}

func newBatchWriter(path string, table *table, lineage Lineage, compression Compression, mem memory.Allocator) (*batchWriter, error) {
	schema, err := table.arrowSchema(lineage)
	if err != nil {
		return nil, err
	}
	file, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return nil, err
	}
	w, err := newSink(path, file, schema, compression, mem)
	if err != nil {
		return nil, errors.Join(err, file.Cleanup())
	}
	return &batchWriter{sink: w, table: table, file: file, builder: array.NewRecordBuilder(mem, schema)}, nil
}

// drop removes the file, unless it has its name by now.
func (w *batchWriter) drop() {
	w.builder.Release()
	_ = w.file.Cleanup()
}

func (w *batchWriter) put(row reflect.Value) error {
	n, err := w.table.putFields(w.builder.Field, row)
	if err != nil {
		return err
	}
	w.inBatch, w.size = w.inBatch+1, w.size+n
	if w.inBatch == w.rows || w.size >= w.bytes {
		return w.flush()
	}
	return nil
}

func (w *batchWriter) flush() error {
	w.inBatch, w.size = 0, 0
	rec := w.builder.NewRecord()
	defer rec.Release()
	return columnar.Guard(func() error { return w.Write(rec) })
}

// close writes what is left and the end of the file.
func (w *batchWriter) close() error {
	if w.inBatch > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return columnar.Guard(w.Close)
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
