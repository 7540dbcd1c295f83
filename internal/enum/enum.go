// Package enum gives typed constants their names in text: in String, MarshalText and UnmarshalText.
//
//	var ratingNames = []string{Better: "better", Worse: "worse"}
//
//	func (r Rating) String() string                { return enum.String("Rating", r, ratingNames) }
//	func (r Rating) MarshalText() ([]byte, error)  { return enum.Marshal("rating", r, ratingNames) }
//	func (r *Rating) UnmarshalText(t []byte) error { return enum.Unmarshal("rating", t, r, ratingNames) }
//
// The names are indexed by the constants. An index with an empty name is not a value.
package enum

import (
	"fmt"
	"slices"
	"strings"
)

// String is the name of a value, "Rating(9)" if it has none.
func String[T ~int | ~uint8](typeName string, value T, names []string) string {
	if !named(value, names) {
		return fmt.Sprintf("%s(%d)", typeName, int(value))
	}
	return names[value]
}

// Marshal is the name of a value. A value without a name is an error, which lists the names.
func Marshal[T ~int](kind string, value T, names []string) ([]byte, error) {
	if !named(value, names) {
		return nil, fmt.Errorf("unknown %s %d, want %s", kind, int(value), alternatives(names))
	}
	return []byte(names[value]), nil
}

// Unmarshal sets the value of a name. The error lists the names.
func Unmarshal[T ~int](kind string, text []byte, value *T, names []string) error {
	i := slices.Index(names, string(text))
	if i < 0 || len(text) == 0 {
		return fmt.Errorf("unknown %s %q, want %s", kind, text, alternatives(names))
	}
	*value = T(i)
	return nil
}

// alternatives lists names: "a, b or c".
func alternatives(names []string) string {
	known := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" })
	if len(known) < 2 {
		return strings.Join(known, "")
	}
	last := len(known) - 1
	return strings.Join(known[:last], ", ") + " or " + known[last]
}

func named[T ~int | ~uint8](value T, names []string) bool {
	return value >= 0 && int(value) < len(names) && names[value] != ""
}
