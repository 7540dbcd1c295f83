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
	"strings"
)

// String is the name of a value, "Rating(9)" if it has none.
func String[T ~int](typeName string, value T, names []string) string {
	if !named(value, names) {
		return fmt.Sprintf("%s(%d)", typeName, int(value))
	}
	return names[value]
}

// Marshal is the name of a value. A value without a name is an error.
func Marshal[T ~int](kind string, value T, names []string) ([]byte, error) {
	if !named(value, names) {
		return nil, fmt.Errorf("%d is no %s", int(value), kind)
	}
	return []byte(names[value]), nil
}

// Unmarshal sets the value of a name. The error lists the names.
func Unmarshal[T ~int](kind string, text []byte, value *T, names []string) error {
	known := make([]string, 0, len(names))
	for i, name := range names {
		if name == "" {
			continue
		}
		if name == string(text) {
			*value = T(i)
			return nil
		}
		known = append(known, fmt.Sprintf("%q", name))
	}
	return fmt.Errorf("unknown %s %q, want %s", kind, text, strings.Join(known, ", "))
}

func named[T ~int](value T, names []string) bool {
	return value >= 0 && int(value) < len(names) && names[value] != ""
}
