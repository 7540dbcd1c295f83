package hf

import (
	"encoding/json"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// rule is a field of config.json that changes what a model computes, and its only value that is supported. To leave another one aside
// would give a model that answers, but wrongly.
type rule struct {
	field string
	want  any    // as encoding/json gives it; nil: null, false, 0, or empty. Absent and null are always fine
	do    string // what to do about another value
}

// checkRules refuses the fields that describe something other than Llama 2.
func (r *reader) checkRules() {
	for _, rule := range rules {
		r.check(r.fields, "", rule)
	}
	for _, kind := range field[[]string](r, "layer_types", nil) {
		if kind != "full_attention" {
			r.bad("layer_types has %q, only full_attention is supported", file.Short(kind))
			break
		}
	}
}

// check refuses another value than the rule's in an object; of is what the object's fields are called behind.
func (r *reader) check(fields map[string]json.RawMessage, of string, rule rule) {
	raw := fields[rule.field]
	var v any
	if file.IsNull(raw) || json.Unmarshal(raw, &v) == nil && (v == rule.want || rule.want == nil && isEmpty(v)) {
		return
	}
	want := "null"
	if rule.want != nil {
		want = fmt.Sprint(rule.want)
	}
	r.bad("%s%s is %s, only %s is supported: %s", of, rule.field, file.Short(string(raw)), want, rule.do)
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
