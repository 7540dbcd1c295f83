package yamlconf

import (
	"fmt"
	"github.com/tame-rlhf/tame/pkg/setting"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// fieldName is how the errors of a config name a field: "sft: Config.BatchSize is 0", "ppo: Config.Optim: optim: Config.LearningRate is 0".
var fieldName = regexp.MustCompile(`^(?:[a-z]\w*: )*(?:[A-Z]\w*\.)?([A-Z]\w*):? `)

// isOldText reports whether the reason of a FieldError is the error of a config that does not report
// FieldErrors itself.
func isOldText(err error) bool { return err != nil && fieldName.MatchString(err.Error()) }

// explainText explains an error that has no FieldError, by its text: for packages whose configs do
// not report FieldErrors.
func (s *Source) explainText(err error) []string {
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		lines = append(lines, s.explainLine(line))
	}
	return lines
}

func (s *Source) explainLine(line string) string {
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
