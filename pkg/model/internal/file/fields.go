package file

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Fields are those of a JSON object, and what is wrong with the ones that were read.
type Fields struct {
	Raw  map[string]json.RawMessage
	Errs []error
	used map[string]bool
}

// Use notes that a field is read or checked.
func (f *Fields) Use(names ...string) {
	if f.used == nil {
		f.used = make(map[string]bool)
	}
	for _, name := range names {
		f.used[name] = true
	}
}

// Unused returns the names of the fields that nothing has read, sorted.
func (f *Fields) Unused() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name := range f.Raw {
			if !f.used[name] && !yield(name) {
				return
			}
		}
	})
}

// Bad notes an error.
func (f *Fields) Bad(format string, args ...any) {
	f.Errs = append(f.Errs, fmt.Errorf(format, args...))
}

// Field is a field, or what stands in for it if it is absent or null.
func Field[T any](f *Fields, name string, absent T) T {
	f.Use(name)
	raw := f.Raw[name]
	if IsNull(raw) {
		return absent
	}
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		f.Bad("%s is %s, want %s", name, Short(string(raw)), wanted(v))
		return absent
	}
	return v
}

// wanted says what a field has to be, in the words of JSON.
func wanted(v any) string {
	switch v.(type) {
	case int, int32, uint64:
		return "a whole number"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	case string:
		return "a text"
	case []string:
		return "a list of texts"
	case []uint64:
		return "a list of whole numbers of at least 0"
	}
	return "an object"
}

// Number is a number that must be there.
func (f *Fields) Number(name string) float64 {
	if IsNull(f.Raw[name]) {
		f.Bad("%s is missing", name)
	}
	return Field(f, name, 0.0)
}

// Size is a whole number that must be there.
func (f *Fields) Size(name string) int {
	if IsNull(f.Raw[name]) {
		f.Bad("%s is missing", name)
	}
	return Field(f, name, 0)
}
