package setting

import (
	"fmt"
	"slices"
	"strings"
)

// Name is the text form of a typed constant, for its MarshalText: names[value]. kind says in an
// error what it is a constant of. An empty name is no value.
func Name[T ~int](value T, kind string, names []string) ([]byte, error) {
	if value < 0 || int(value) >= len(names) || names[value] == "" {
		return nil, fmt.Errorf("unknown %s %d, want %s", kind, int(value), alternatives(names))
	}
	return []byte(names[value]), nil
}

// ParseName sets value to the constant of that name, for an UnmarshalText. With an error value stays
// as it is.
func ParseName[T ~int](value *T, kind string, text []byte, names []string) error {
	i := slices.Index(names, string(text))
	if i < 0 || len(text) == 0 {
		return fmt.Errorf("unknown %s %q, want %s", kind, text, alternatives(names))
	}
	*value = T(i)
	return nil
}

// alternatives lists names: "a, b or c".
func alternatives(names []string) string {
	var known []string
	for _, name := range names {
		if name != "" {
			known = append(known, name)
		}
	}
	last := len(known) - 1
	if last < 1 {
		return strings.Join(known, "")
	}
	return strings.Join(known[:last], ", ") + " or " + known[last]
}
