package yamlconf

import (
	"fmt"
	"maps"
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
	place := "the configuration"
	if s.file != "" {
		place = s.file
	}
	return fmt.Errorf("%s: missing %s: write it there, or give --set %s=VALUE", place, strings.Join(names, ", "), names[0])
}

// fieldName is how the errors of a config name a field: "sft: Config.BatchSize is 0", "ppo: Config.Optim: optim: Config.LearningRate is 0".
var fieldName = regexp.MustCompile(`^(?:[a-z]\w*: )*(?:[A-Z]\w*\.)?([A-Z]\w*):? `)

// Explain rewrites the errors of a config, and others that begin with a field or a key, for who wrote the file: names of fields become
// keys, with the place where they were set. The error stays what it was for errors.Is.
func (s *Source) Explain(err error) error {
	if err == nil {
		return nil
	}
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		lines = append(lines, s.explain(line))
	}
	return &explained{text: strings.Join(lines, "\n"), err: err}
}

type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

func (s *Source) explain(line string) string {
	known := map[string]bool{}
	var fields []field
	leaves(s.root, nil, "", func(path string, f field) {
		fields = append(fields, f)
		for key := range strings.SplitSeq(path, ".") {
			known[key] = true
		}
	})
	path, rest := "", line
	for {
		m := fieldName.FindStringSubmatchIndex(rest)
		if m == nil || !known[setting.Key(rest[m[2]:m[3]])] {
			break
		}
		path, rest = join(path, setting.Key(rest[m[2]:m[3]])), rest[m[1]:]
	}
	if path == "" {
		path, rest, _ = strings.Cut(line, " ")
	}
	rest = keysForNames(rest, fields)
	for _, at := range slices.Sorted(maps.Keys(s.at)) {
		if at == path || strings.HasSuffix(at, "."+path) { // a config inside of another does not know where it stands
			return fmt.Sprintf("%s: %s %s", s.at[at], at, rest)
		}
	}
	return strings.TrimSuffix(path+" "+rest, " ")
}
