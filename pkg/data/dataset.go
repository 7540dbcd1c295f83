package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"reflect"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/google/renameio/v2"
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

// Keys of the Arrow schema's metadata.
const (
	metaSchema  = "tame.schema"
	metaVersion = "tame.schema_version"
	metaLineage = "tame.lineage"
)

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
	schema, err := table.arrowSchema(lineage)
	if err != nil {
		return fmt.Errorf("data: write %s: %w", path, err)
	}
	file, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return fmt.Errorf("data: write %s: %w", path, err)
	}
	defer file.Cleanup() // does nothing once the file has its name

	w, err := newSink(path, file, schema, compression, mem)
	if err != nil {
		return fmt.Errorf("data: write %s: %w", path, err)
	}
	b := array.NewRecordBuilder(mem, schema)
	defer b.Release()
	flush := func() error {
		rec := b.NewRecord()
		defer rec.Release()
		return guard(func() error { return w.Write(rec) })
	}

	count, inBatch, size := 0, 0, 0
	for row, err := range rows {
		if err != nil {
			return fmt.Errorf("data: write %s: row %d: %w", path, count, err)
		}
		if err := validate(&row); err != nil {
			return fmt.Errorf("data: write %s: row %d: %w", path, count, err)
		}
		n, err := table.putFields(b.Field, reflect.ValueOf(&row).Elem())
		if err != nil {
			return fmt.Errorf("data: write %s: row %d: %w", path, count, err)
		}
		count, inBatch, size = count+1, inBatch+1, size+n
		if inBatch == w.rows || size >= w.bytes {
			if err := flush(); err != nil {
				return fmt.Errorf("data: write %s: %w", path, err)
			}
			inBatch, size = 0, 0
		}
	}
	if inBatch > 0 {
		err = flush()
	}
	if err == nil {
		err = guard(w.Close)
	}
	if err == nil {
		err = file.CloseAtomicallyReplace()
	}
	if err != nil {
		return fmt.Errorf("data: write %s: %w", path, err)
	}
	return nil
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

// Reader reads a dataset one record batch at a time.
type Reader[T Row] struct {
	path    string
	file    *os.File
	source  batchSource
	table   *table
	at      []int // column of the file for each field of the row, -1 where it is missing
	lineage Lineage
}

// Open opens a dataset, an Arrow IPC file or stream or a Parquet file, and checks that it holds rows of type T. Columns are
// found by name; more columns than T has do no harm, optional and nullable ones may be missing. A file that other programs wrote, without
// our metadata, is taken if its columns fit. Close the reader after use.
func Open[T Row](path string) (*Reader[T], error) { return open[T](path, memory.DefaultAllocator) }

func open[T Row](path string, mem memory.Allocator) (_ *Reader[T], err error) {
	table, err := tableOf[T]()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: read: %w", err)
	}
	r := &Reader[T]{path: path, file: file, table: table}
	err = guard(func() (err error) {
		if r.source, err = openBatches(file, mem); err != nil {
			return err
		}
		r.at, r.lineage, err = table.match(r.source.schema())
		return err
	})
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("data: read %s: %w", path, err)
	}
	return r, nil
}

// Lineage says where the dataset comes from; it is empty for a file of other programs.
func (r *Reader[T]) Lineage() Lineage { return r.lineage }

// Close closes the file. Rows that were read stay valid.
func (r *Reader[T]) Close() error {
	if r.source != nil {
		r.source.close()
	}
	return r.file.Close()
}

// Rows goes through all rows in order. After an error it ends. It may be called again.
func (r *Reader[T]) Rows() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		next := r.source.begin()
		for before := 0; ; { // rows in the batches before
			rows, err := r.batch(next, before)
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
			if err != nil {
				var zero T
				yield(zero, fmt.Errorf("data: read %s: %w", r.path, err))
				return
			}
			before += len(rows)
		}
	}
}

// batch returns the rows of the next record batch up to the first that is wrong.
func (r *Reader[T]) batch(next func() (arrow.Record, error), before int) (rows []T, err error) {
	err = guard(func() error {
		rec, err := next()
		if err != nil {
			return err
		}
		defer rec.Release()
		for j := range int(rec.NumRows()) {
			var row T
			if err := r.table.get(rec, r.at, j, reflect.ValueOf(&row).Elem()); err != nil {
				return fmt.Errorf("row %d: %w", before+j, err)
			}
			if err := validate(&row); err != nil {
				return fmt.Errorf("row %d: %w", before+j, err)
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, err
}

func validate(row any) error {
	if v, ok := row.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// table is the column of a row's struct with the schema's name.
type table struct {
	column
	schema Schema
}

func tableOf[T Row]() (*table, error) {
	var zero T
	t := &table{schema: zero.Schema()}
	if reflect.TypeFor[T]().Kind() != reflect.Struct {
		return nil, fmt.Errorf("data: rows of %T: want a struct", zero)
	}
	return t, t.record(reflect.TypeFor[T]())
}

func (t *table) arrowSchema(lineage Lineage) (*arrow.Schema, error) {
	raw, err := json.Marshal(lineage)
	if err != nil {
		return nil, fmt.Errorf("lineage: %w", err)
	}
	meta := arrow.NewMetadata([]string{metaSchema, metaVersion, metaLineage},
		[]string{t.schema.Name, strconv.Itoa(t.schema.Version), string(raw)})
	return arrow.NewSchema(t.dataType.(*arrow.StructType).Fields(), &meta), nil
}

// match finds the fields' columns in a file and reads its metadata.
func (t *table) match(file *arrow.Schema) (at []int, lineage Lineage, err error) {
	meta := file.Metadata()
	if i := meta.FindKey(metaSchema); i >= 0 {
		got := Schema{Name: meta.Values()[i]}
		if v := meta.FindKey(metaVersion); v >= 0 {
			got.Version, _ = strconv.Atoi(meta.Values()[v])
		}
		if got.Name != t.schema.Name || got.Version > t.schema.Version {
			return nil, lineage, fmt.Errorf("holds %v rows, want %v", got, t.schema)
		}
	}
	if lineage, err = lineageOf(meta); err != nil {
		return nil, lineage, err
	}
	for _, c := range t.fields {
		found := file.FieldIndices(c.name)
		switch {
		case len(found) == 0 && c.optional:
			at = append(at, -1)
			continue
		case len(found) != 1:
			return nil, lineage, fmt.Errorf("has %d columns %q of %v, want 1; its columns are %v",
				len(found), c.name, t.schema, columnNames(file))
		case !c.fits(file.Field(found[0]).Type):
			return nil, lineage, fmt.Errorf("column %q is %v, want %v", c.name, file.Field(found[0]).Type, c.dataType)
		}
		at = append(at, found[0])
	}
	if slices.Max(at) < 0 {
		return nil, lineage, fmt.Errorf("has none of the columns of %v; its columns are %v", t.schema, columnNames(file))
	}
	return at, lineage, nil
}

func columnNames(s *arrow.Schema) []string {
	names := make([]string, s.NumFields())
	for i := range names {
		names[i] = s.Field(i).Name
	}
	return names
}

// get reads row i of a record batch into the struct v.
func (t *table) get(rec arrow.Record, at []int, i int, v reflect.Value) error {
	for k := range t.fields {
		if at[k] < 0 {
			continue
		}
		if err := t.fields[k].read(rec.Column(at[k]), i, v.Field(t.fields[k].index)); err != nil {
			return err
		}
	}
	return nil
}
