// Package jsontext says in the words of JSON what is wrong with a JSON text. The errors of encoding/json name Go types and
// struct fields, which mean nothing to the person who has written the text.
package jsontext

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Unmarshal is json.Unmarshal with the errors of Explain.
func Unmarshal(raw []byte, to any) error { return Explain(json.Unmarshal(raw, to)) }

// Explain puts an error of encoding/json into the words of JSON: the key, what is there, what is wanted. Other errors, and nil,
// are returned as they are.
func Explain(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		text := fmt.Sprintf("%s, want %s", found(kind.Value), wanted(kind.Type))
		if kind.Field == "" {
			return errors.New("it is " + text)
		}
		return fmt.Errorf("%q is %s", kind.Field, text)
	case errors.As(err, &syntax):
		if strings.HasPrefix(syntax.Error(), "unexpected end") {
			return fmt.Errorf("no JSON: it ends too early, after byte %d", syntax.Offset)
		}
		return fmt.Errorf("no JSON: %v (byte %d)", syntax, syntax.Offset)
	case err == io.EOF:
		return errors.New("no JSON: it is empty")
	case err == io.ErrUnexpectedEOF:
		return errors.New("no JSON: it ends too early")
	case err != nil && strings.HasPrefix(err.Error(), `json: unknown field "`):
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return err
}

// found is what encoding/json calls a value.
func found(value string) string {
	if number, ok := strings.CutPrefix(value, "number "); ok {
		return number
	}
	switch value {
	case "string":
		return "a text"
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "bool":
		return "true or false"
	}
	return "a " + value
}

// wanted is what JSON has for a Go type.
func wanted(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number of at least 0 that is not too large"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number that is not too large"
	}
	return "an object"
}
