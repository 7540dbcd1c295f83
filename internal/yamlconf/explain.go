package yamlconf

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/setting"
)

// Missing names all required keys that are empty.
func (s *Source) Missing() error {
	var names []string
	leaves(s.root, nil, "", func(path string, f field) {
		if f.required && (f.value.IsZero() || f.value.Kind() == reflect.Slice && f.value.Len() == 0) {
			names = append(names, path)
		}
	})
	if len(names) == 0 {
		return nil
	}
	place := cmp.Or(s.file, "the configuration")
	return fmt.Errorf("%s: missing %s: write it there, or give --set %s=VALUE", place, strings.Join(names, ", "), names[0])
}

// Explain rewrites the FieldErrors in an error for the user who wrote the file: fields become keys,
// with the place where they were set or, if they were not, as defaults. Other errors, and those of
// fields without a key, keep their text. errors.Is and errors.As find what they found before.
func (s *Source) Explain(err error) error {
	if err == nil {
		return nil
	}
	return &explained{text: strings.Join(s.explain(err), "\n"), err: err}
}

type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// explain gives the lines of an error.
func (s *Source) explain(err error) []string {
	if list, ok := joined(err); ok {
		var lines []string
		for _, e := range list {
			lines = append(lines, s.explain(e)...)
		}
		return lines
	}
	if f, ok := err.(*setting.FieldError); ok {
		if at, ok := lookup(fieldsOf(s.root, nil), f.Path); ok {
			return []string{s.explainField(f, at)}
		}
	}
	if inner := errors.Unwrap(err); inner != nil && strings.HasSuffix(err.Error(), inner.Error()) && s.isOwn(inner) {
		return s.explain(inner)
	}
	return []string{err.Error()}
}

// joined gives the parts of errors.Join. Errors that are wrapped by a text of several are one error.
func joined(err error) ([]error, bool) {
	join, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil, false
	}
	var texts []string
	for _, e := range join.Unwrap() {
		texts = append(texts, e.Error())
	}
	return join.Unwrap(), strings.Join(texts, "\n") == err.Error()
}

// isOwn reports whether all FieldErrors of a wrapped error are about this configuration, and not
// about another struct of the same form, such as the shape in a model's config.json: the values are
// those of the fields here.
func (s *Source) isOwn(err error) bool {
	list := setting.Fields(err)
	return len(list) > 0 && !slices.ContainsFunc(list, func(f *setting.FieldError) bool {
		at, ok := lookup(fieldsOf(s.root, nil), f.Path)
		return !ok || fmt.Sprint(at.value.Interface()) != fmt.Sprint(f.Value)
	})
}

// explainField gives "sft.yaml:9: batch_size is 0, want at least 1" or, for a field that was not set,
// "batch_size is 0 by default, want at least 1".
func (s *Source) explainField(f *setting.FieldError, at located) string {
	start, byDefault := s.place(at.key), ""
	if start == "" {
		byDefault = " by default"
	}
	if f.Err != nil {
		return start + at.key + f.Reason()
	}
	return fmt.Sprintf("%s%s is %s%s, want %s", start, at.key, valueText(f.Value), byDefault, keysInWant(f.Want, at.scopes))
}

// place is where a key, or an item of a list, was set: "sft.yaml:9: "; empty for defaults.
func (s *Source) place(key string) string {
	place, set := s.at[key]
	if !set {
		list, _, _ := strings.Cut(key, "[")
		place, set = s.at[list]
	}
	if !set {
		return ""
	}
	return place + ": "
}

// located is the field of a path of Go names.
type located struct {
	key    string // in full: "optim.learning_rate"
	value  reflect.Value
	scopes [][]field // the fields of each struct on the way, from the outermost on
}

// lookup follows a path, such as "Optim.LearningRate" or "Temperatures[1]", from the fields of a
// struct.
func lookup(fields []field, path string) (at located, ok bool) {
	for name := range strings.SplitSeq(path, ".") {
		name, index, isItem := strings.Cut(name, "[")
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			return located{}, false
		}
		f := fields[i]
		at.key, at.value, at.scopes = setting.Join(at.key, f.key), f.value, append(at.scopes, fields)
		if isItem {
			at.key += "[" + index
		}
		fields = nil
		if isMap(f.value) {
			fields = fieldsOf(f.value, f.omit)
		}
	}
	return at, true
}

// goPath is a field in the words of a Want: "at most BatchSize", "the logit of PPO.SafetyThreshold".
var goPath = regexp.MustCompile(`\b[A-Z]\w*(?:\.[A-Z]\w*)*`)

// keysInWant writes keys where a Want has fields of the struct around it, or of one around that.
func keysInWant(want string, scopes [][]field) string {
	return goPath.ReplaceAllStringFunc(want, func(path string) string {
		for _, fields := range slices.Backward(scopes) {
			if at, ok := lookup(fields, path); ok {
				return at.key
			}
		}
		return path
	})
}

// valueText writes a value as the file would have it, if it can.
func valueText(value any) string {
	if v := reflect.ValueOf(value); v.IsValid() && v.Kind() != reflect.Pointer {
		if text, ok := literal(v); ok {
			return text
		}
	}
	return fmt.Sprint(value)
}
