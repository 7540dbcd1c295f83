package file

import (
	"encoding/json"
	"fmt"
)

// Fields are those of a JSON object, and what is wrong with the ones that were read.
type Fields struct {
	Raw  map[string]json.RawMessage
	Errs []error
}

// Bad notes an error.
func (f *Fields) Bad(format string, args ...any) {
	f.Errs = append(f.Errs, fmt.Errorf(format, args...))
}

// Field is a field, or what stands in for it if it is absent or null.
func Field[T any](f *Fields, name string, absent T) T {
	raw := f.Raw[name]
	if IsNull(raw) {
		return absent
	}
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		f.Bad("%s is %s: %w", name, Short(string(raw)), err)
		return absent
	}
	return v
}

// Size is a whole number that must be there.
func (f *Fields) Size(name string) int {
	if IsNull(f.Raw[name]) {
		f.Bad("%s is missing", name)
	}
	return Field(f, name, 0)
}
