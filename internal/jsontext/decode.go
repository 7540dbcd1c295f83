package jsontext

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Decode reads the one value of a line into a pointer to a struct, a list, a map or a plain value, more strictly than encoding/json, which
// takes the last value of a key that is there twice, and a key in other capitals for the key. Keys that the type has no
// field for, keys that are written in other capitals or twice, and what follows the value are errors.
func Decode(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return Explain(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON value")
	}
	return checkKeys(json.NewDecoder(bytes.NewReader(line)), reflect.TypeOf(into))
}

// checkKeys goes through one value, which was decoded as a t; nil if the type is not known.
func checkKeys(d *json.Decoder, t reflect.Type) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('['):
		for err == nil && d.More() {
			err = checkKeys(d, element(t))
		}
	case json.Delim('{'):
		for seen := map[string]bool{}; err == nil && d.More(); {
			err = checkMember(d, t, seen)
		}
	default:
		return nil
	}
	if err == nil {
		_, err = d.Token() // the bracket at the end
	}
	return err
}

// checkMember goes through a key of an object and its value.
func checkMember(d *json.Decoder, t reflect.Type, seen map[string]bool) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	key := token.(string) // keys of objects are texts
	if seen[key] {
		return fmt.Errorf("%q is there twice", key)
	}
	seen[key] = true
	if t == nil || t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(unmarshaler) {
		return checkKeys(d, element(t))
	}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		name = cmp.Or(name, field.Name)
		if name == key {
			return checkKeys(d, field.Type)
		}
		if strings.EqualFold(name, key) {
			err = fmt.Errorf("unknown field %q: keys are taken by their exact case, want %q", key, name)
		}
	}
	if err == nil {
		err = fmt.Errorf("unknown field %q", key)
	}
	return err
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// element is the type of what a list or a map holds, nil for other types.
func element(t reflect.Type) reflect.Type {
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map) {
		return t.Elem()
	}
	return nil
}
