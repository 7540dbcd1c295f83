package hf

import (
	"encoding/json"

	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// rule is fields of config.json that change what a model computes, and their only value that is supported. To leave another one aside
// would give a model that answers, but wrongly.
type rule struct {
	fields []string
	want   any    // as encoding/json gives it; nil: null, false, 0, or empty. Absent and null are always fine
	do     string // what to do about another value
}

// check refuses other values than the rules' in an object; of is what the object's fields are called behind.
func (r *reader) check(fields map[string]json.RawMessage, of string, rules []rule) {
	for _, rule := range rules {
		want := rule.want
		if want == nil {
			want = "null"
		}
		if of == "" {
			r.Use(rule.fields...)
		}
		for _, name := range rule.fields {
			raw := fields[name]
			var v any
			if !file.IsNull(raw) && (json.Unmarshal(raw, &v) != nil || v != rule.want && (rule.want != nil || !isEmpty(v))) {
				r.Bad("%s%s is %s, only %v is supported: %s", of, name, file.Short(string(raw)), want, rule.do)
			}
		}
	}
}

// isEmpty says whether a field switches its feature off.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return v == nil
}
