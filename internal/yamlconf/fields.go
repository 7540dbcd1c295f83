package yamlconf

import (
	"encoding"
	"reflect"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/setting"
)

// field is a key of a struct with the value behind it.
type field struct {
	key      string
	owner    reflect.Type // the struct that declares it
	name     string       // in Go
	value    reflect.Value
	required bool
	place    bool
	input    bool
	omit     []string // keys of the value, if that is a struct
}

// fieldsOf lists the keys of a struct in the order of their declaration, those of embedded structs among them.
func fieldsOf(v reflect.Value, omit []string) []field {
	var list []field
	for i := range v.NumField() {
		f := v.Type().Field(i)
		embedded := f.Anonymous && f.Type.Kind() == reflect.Struct // its own name does not matter
		if !f.IsExported() && !embedded || f.Tag.Get("json") == "-" || f.Type.Kind() == reflect.Func {
			continue
		}
		item := field{key: setting.Key(f.Name), owner: v.Type(), name: f.Name, value: v.Field(i)}
		for word := range strings.SplitSeq(f.Tag.Get("conf"), ",") {
			if keys, ok := strings.CutPrefix(word, "omit="); ok {
				item.omit = strings.Fields(keys)
			}
			item.required = item.required || word == "required"
			item.place = item.place || word == "place"
			item.input = item.input || word == "input"
		}
		switch {
		case slices.Contains(omit, item.key):
		case embedded:
			list = append(list, fieldsOf(item.value, slices.Concat(omit, item.omit))...)
		default:
			list = append(list, item)
		}
	}
	return list
}

// isMap reports whether a value is written as a map of keys. A struct with a text form may be both.
func isMap(v reflect.Value) bool { return v.Kind() == reflect.Struct }

// keysOf lists keys for people.
func keysOf(fields []field) string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return strings.Join(keys, ", ")
}

// leaves calls visit for every key that holds no further keys, with the path to it.
func leaves(v reflect.Value, omit []string, path string, visit func(path string, f field)) {
	for _, f := range fieldsOf(v, omit) {
		at := setting.Join(path, f.key)
		if isMap(f.value) {
			leaves(f.value, f.omit, at, visit)
		}
		if !isMap(f.value) || textual(f.value) {
			visit(at, f)
		}
	}
}

// textual reports whether a value can be read from a text form of its own.
func textual(v reflect.Value) bool {
	if !v.CanAddr() {
		return false
	}
	_, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	return ok
}

// textOf is the text form of a value, if it has one.
func textOf(v reflect.Value) (string, bool) {
	m, ok := v.Interface().(encoding.TextMarshaler)
	if !ok {
		return "", false
	}
	text, err := m.MarshalText()
	return string(text), err == nil
}

// choices are the text forms of a type with a few numbered values.
func choices(t reflect.Type) []string {
	var names []string
	if t.Kind() != reflect.Int || !t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return nil
	}
	const most = 16
	for i := range most {
		v := reflect.New(t).Elem()
		v.SetInt(int64(i))
		if text, ok := textOf(v); ok {
			names = append(names, text)
		}
	}
	return names
}
