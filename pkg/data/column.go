package data

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

// column translates between one Go type and one Arrow type.
type column struct {
	name     string // dotted path, for errors
	dataType arrow.DataType
	nullable bool
	optional bool // a file may be without it
	omitted  bool // a file is written without it if no row has something there
	// put appends v to the builder of dataType and returns about how many bytes that takes.
	put func(b array.Builder, v reflect.Value) (size int, err error)
	// get sets v to element i of an array whose type fits; element i is not null.
	get func(a arrow.Array, i int, v reflect.Value) error
	// fits says whether get can read arrays of that type. They may be wider than dataType, as other programs write them.
	fits func(dt arrow.DataType) bool
	// unused appends the paths of struct fields in a type that fits which get leaves out; nil where there are no structs.
	unused func(dt arrow.DataType) []string

	entries dictionaryTexts

	index  int      // field of the struct it is part of
	fields []column // of a struct
}

var (
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

const maxDepth = 8 // a type that contains itself has no columns

// newColumn builds the translation of a Go type.
func newColumn(name string, t reflect.Type) (column, error) {
	c := column{name: name}
	if strings.Count(name, ".") > maxDepth {
		return c, fmt.Errorf("data: column %q: Go type %v is nested too deep", name, t)
	}
	var err error
	switch kind := t.Kind(); {
	case t.Implements(textMarshaler) && reflect.PointerTo(t).Implements(textUnmarshaler):
		c.marshalled()
	case kind == reflect.Pointer:
		err = c.pointer(t)
	case kind == reflect.String:
		c.text()
	case kind == reflect.Bool:
		c.boolean()
	case kind == reflect.Slice:
		err = c.list(t)
	case kind == reflect.Struct:
		err = c.record(t)
	case numberTypes[kind] != nil:
		c.number(kind)
	default:
		err = fmt.Errorf("data: column %q: Go type %v has no Arrow form", name, t)
	}
	return c, err
}

// read is get with the checks that every element needs.
func (c *column) read(a arrow.Array, i int, v reflect.Value) error {
	if a.IsNull(i) {
		if c.nullable {
			return nil
		}
		return fmt.Errorf("column %q is null", c.name)
	}
	return c.get(a, i, v)
}

func (c *column) text() {
	c.dataType = arrow.BinaryTypes.String
	c.fits = isText
	c.put = func(b array.Builder, v reflect.Value) (int, error) { return c.putText(b, v.String()) }
	c.get = func(a arrow.Array, i int, v reflect.Value) error {
		text, err := c.getText(a, i)
		v.SetString(text)
		return err
	}
}

func (c *column) marshalled() {
	c.dataType = arrow.BinaryTypes.String
	c.fits = isText
	c.put = func(b array.Builder, v reflect.Value) (int, error) {
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return 0, fmt.Errorf("column %q: %w", c.name, err)
		}
		return c.putText(b, string(text))
	}
	c.get = func(a arrow.Array, i int, v reflect.Value) error {
		text, err := c.getText(a, i)
		if err == nil {
			err = v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
		}
		if err != nil {
			return fmt.Errorf("column %q: %w", c.name, err)
		}
		return nil
	}
}

func (c *column) putText(b array.Builder, text string) (int, error) {
	if len(text) > math.MaxInt32/2 {
		return 0, fmt.Errorf("column %q has a text of %d bytes: cut it", c.name, len(text))
	}
	if !utf8.ValidString(text) {
		return 0, fmt.Errorf("column %q is not valid UTF-8: use strings.ToValidUTF8", c.name)
	}
	b.(*array.StringBuilder).Append(text)
	return len(text) + 4, nil
}

// maxText is the longest text that is read, in bytes, as an importer reads it.
const maxText = 64 << 20

func (c *column) getText(a arrow.Array, i int) (string, error) {
	if d, ok := a.(*array.Dictionary); ok {
		return c.entries.text(d, d.GetValueIndex(i), c.getText)
	}
	text := a.(array.StringLike).Value(i)
	if len(text) > maxText {
		return "", fmt.Errorf("column %q has a text of %d bytes, the limit is %d", c.name, len(text), maxText)
	}
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("column %q is not valid UTF-8: the file is damaged", c.name)
	}
	return strings.Clone(text), nil // the array's memory goes with the record batch
}

// dictionaryTexts are the entries of a dictionary as far as they were asked for: rows with the same one share its memory.
type dictionaryTexts struct {
	of    arrow.ArrayData
	texts []string
}

func (t *dictionaryTexts) text(d *array.Dictionary, i int, get func(arrow.Array, int) (string, error)) (text string, err error) {
	if of := d.Data().Dictionary(); of != t.of {
		t.of, t.texts = of, make([]string, d.Dictionary().Len())
	}
	if t.texts[i] == "" {
		t.texts[i], err = get(d.Dictionary(), i)
	}
	return t.texts[i], err
}

func isText(dt arrow.DataType) bool {
	if d, ok := dt.(*arrow.DictionaryType); ok {
		dt = d.ValueType
	}
	return dt.ID() == arrow.STRING || dt.ID() == arrow.LARGE_STRING
}

func (c *column) boolean() {
	c.dataType = arrow.FixedWidthTypes.Boolean
	c.fits = func(dt arrow.DataType) bool { return dt.ID() == arrow.BOOL }
	c.put = func(b array.Builder, v reflect.Value) (int, error) {
		b.(*array.BooleanBuilder).Append(v.Bool())
		return 1, nil
	}
	c.get = func(a arrow.Array, i int, v reflect.Value) error {
		v.SetBool(a.(*array.Boolean).Value(i))
		return nil
	}
}

func (c *column) pointer(t reflect.Type) error {
	elem, err := newColumn(c.name, t.Elem())
	if err != nil {
		return err
	}
	if elem.nullable || t.Elem().Kind() == reflect.Slice {
		return fmt.Errorf("data: column %q: Go type %v has no Arrow form", c.name, t)
	}
	c.dataType, c.nullable, c.optional, c.fits, c.unused = elem.dataType, true, true, elem.fits, elem.unused
	c.put = func(b array.Builder, v reflect.Value) (int, error) {
		if v.IsNil() {
			b.AppendNull()
			return 1, nil
		}
		return elem.put(b, v.Elem())
	}
	c.get = func(a arrow.Array, i int, v reflect.Value) error {
		v.Set(reflect.New(t.Elem()))
		return elem.get(a, i, v.Elem())
	}
	return nil
}

func (c *column) list(t reflect.Type) error {
	elem, err := newColumn(c.name+"[]", t.Elem())
	if err != nil {
		return err
	}
	c.dataType = arrow.ListOfField(arrow.Field{Name: "item", Type: elem.dataType, Nullable: elem.nullable})
	c.fits = func(dt arrow.DataType) bool {
		if dt.ID() != arrow.LIST && dt.ID() != arrow.LARGE_LIST {
			return false
		}
		return elem.fits(dt.(arrow.ListLikeType).Elem())
	}
	if elem.unused != nil {
		c.unused = func(dt arrow.DataType) []string { return elem.unused(dt.(arrow.ListLikeType).Elem()) }
	}
	c.put = func(b array.Builder, v reflect.Value) (int, error) {
		list := b.(*array.ListBuilder)
		list.Append(true)
		size := 4
		for i := range v.Len() {
			n, err := elem.put(list.ValueBuilder(), v.Index(i))
			if err != nil {
				return 0, err
			}
			size += n
		}
		return size, nil
	}
	c.get = func(a arrow.Array, i int, v reflect.Value) error {
		list := a.(array.ListLike)
		start, end := list.ValueOffsets(i)
		values := list.ListValues()
		if start < 0 || end < start || end > int64(values.Len()) {
			return fmt.Errorf("column %q spans %d to %d of %d values: the file is damaged", c.name, start, end, values.Len())
		}
		if start == end {
			v.SetZero()
			return nil
		}
		// Token ids and log-probabilities come in millions.
		switch values := values.(type) {
		case *array.Int32:
			if p, ok := v.Addr().Interface().(*[]int32); ok && values.NullN() == 0 {
				*p = slices.Clone(values.Int32Values()[start:end])
				return nil
			}
		case *array.Float32:
			if p, ok := v.Addr().Interface().(*[]float32); ok && values.NullN() == 0 {
				*p = slices.Clone(values.Float32Values()[start:end])
				return nil
			}
		}
		v.Set(reflect.MakeSlice(t, int(end-start), int(end-start)))
		for j := range v.Len() {
			if err := elem.read(values, int(start)+j, v.Index(j)); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

func (c *column) record(t reflect.Type) error {
	var fields []arrow.Field
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("arrow"), ",")
		omitted := option == "omitempty" && c.name == "" // of a row, not of a struct inside of one
		if option != "" && option != "optional" && !omitted {
			return fmt.Errorf("data: field %s of %v has a tag with %q, which is not known there", f.Name, t, option)
		}
		if name == "-" || !f.IsExported() {
			continue
		}
		path := name
		if c.name != "" {
			path = c.name + "." + name
		}
		if name == "" {
			return fmt.Errorf(`data: field %s of %v has no column: give it a tag arrow:"name", or arrow:"-" to leave it out`, f.Name, t)
		}
		sub, err := newColumn(path, f.Type)
		if err != nil {
			return err
		}
		if omitted && f.Type.Kind() != reflect.Slice {
			return fmt.Errorf("data: column %q: Go type %v is not a slice, which omitempty wants", path, f.Type)
		}
		sub.index, sub.omitted, sub.optional = i, omitted, sub.optional || omitted || option == "optional"
		fields = append(fields, arrow.Field{Name: name, Type: sub.dataType, Nullable: sub.nullable})
		c.fields = append(c.fields, sub)
	}
	if len(fields) == 0 {
		return fmt.Errorf("data: Go type %v has no columns", t)
	}
	c.dataType = arrow.StructOf(fields...)
	c.fits = func(dt arrow.DataType) bool {
		s, ok := dt.(*arrow.StructType)
		if !ok {
			return false
		}
		for i, f := range fields {
			there, ok := s.FieldByName(f.Name)
			if ok && !c.fields[i].fits(there.Type) || !ok && !c.fields[i].optional {
				return false
			}
		}
		return true
	}
	c.unused = func(dt arrow.DataType) []string { return c.unusedFields(dt.(*arrow.StructType).Fields()) }
	c.put = func(b array.Builder, v reflect.Value) (int, error) {
		s := b.(*array.StructBuilder)
		s.Append(true)
		return c.putFields(s.FieldBuilder, v)
	}
	c.get = func(a arrow.Array, i int, v reflect.Value) error {
		s, dt := a.(*array.Struct), a.DataType().(*arrow.StructType)
		for k := range c.fields {
			at, ok := dt.FieldIdx(fields[k].Name)
			if !ok {
				continue
			}
			if err := c.fields[k].read(s.Field(at), i, v.Field(c.fields[k].index)); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

// unusedFields are the paths of those fields, of a file's rows or of a struct in them, that are not read.
func (c *column) unusedFields(fields []arrow.Field) (paths []string) {
	for _, f := range fields {
		prefix := ""
		if c.name != "" {
			prefix = c.name + "."
		}
		i := slices.IndexFunc(c.fields, func(sub column) bool { return sub.name == prefix+f.Name })
		switch {
		case i < 0:
			paths = append(paths, prefix+f.Name)
		case c.fields[i].unused != nil:
			paths = append(paths, c.fields[i].unused(f.Type)...)
		}
	}
	return paths
}

func (c *column) putFields(builder func(i int) array.Builder, v reflect.Value) (int, error) {
	size := 0
	for i := range c.fields {
		n, err := c.fields[i].put(builder(i), v.Field(c.fields[i].index))
		if err != nil {
			return 0, err
		}
		size += n
	}
	return size, nil
}
