package data

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/tame-rlhf/tame/internal/columnar"
)

// Keys of the Arrow schema's metadata.
const (
	metaSchema  = "tame.schema"
	metaVersion = "tame.schema_version"
	metaLineage = "tame.lineage"
)

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

// narrow is the table without the columns that a file has only if a row needs them.
func (t *table) narrow() *table {
	n := &table{column: t.column, schema: t.schema}
	n.fields = nil
	var fields []arrow.Field
	for i, f := range t.dataType.(*arrow.StructType).Fields() {
		if !t.fields[i].omitted {
			n.fields, fields = append(n.fields, t.fields[i]), append(fields, f)
		}
	}
	n.dataType = arrow.StructOf(fields...)
	return n
}

// needs says whether a row has something in a column that narrow leaves out.
func (t *table) needs(row reflect.Value) bool {
	return slices.ContainsFunc(t.fields, func(c column) bool { return c.omitted && row.Field(c.index).Len() > 0 })
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
	got, ours := schemaOf(meta)
	if ours && (got.Name != t.schema.Name || got.Version > t.schema.Version) {
		return nil, lineage, fmt.Errorf("holds %v rows, want %v", got, t.schema)
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

// SchemaOf reads the form of the rows of a dataset; that of a file of other programs is empty.
func SchemaOf(path string) (Schema, error) {
	s, _, err := Describe(path)
	return s, err
}

// Describe is SchemaOf with the number of bytes of the file, or of all files of a folder of the datasets library.
func Describe(path string) (Schema, int64, error) {
	file, err := columnar.Open(path, memory.DefaultAllocator)
	if err != nil {
		return Schema{}, 0, fmt.Errorf("data: %w", err)
	}
	s, _ := schemaOf(file.Schema().Metadata())
	return s, file.Size(), file.Close()
}

func schemaOf(meta arrow.Metadata) (s Schema, ok bool) {
	i := meta.FindKey(metaSchema)
	if i < 0 {
		return s, false
	}
	s.Name = meta.Values()[i]
	if v := meta.FindKey(metaVersion); v >= 0 {
		s.Version, _ = strconv.Atoi(meta.Values()[v])
	}
	return s, true
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
