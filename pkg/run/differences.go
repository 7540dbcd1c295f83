package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Differences names what is not the same in a run that is started now: none means that it is the
// same run. Settings are named by their path in a configuration file, inputs by their name.
//
// A setting that is not in id and is off now (0, false, null, [], "", or an
// object of such values) is the same: id is of a
// version that did not have it. The other way round, and for a setting that is on, it is a difference.
func (id Identity) Differences(now Identity) []string {
	switch {
	case id.Stage == "":
		return []string{"it does not say of which"}
	case id.Stage != now.Stage:
		return []string{fmt.Sprintf("of stage %q, this is %q", id.Stage, now.Stage)}
	}
	list := configDifferences("", id.Config, now.Config)
	if id.Seed != now.Seed && len(list) == 0 { // often it is among the settings
		list = append(list, fmt.Sprintf("seed was %d and is %d", id.Seed, now.Seed))
	}
	return append(list, inputDifferences(id.Inputs, now.Inputs)...)
}

// inputDifferences compares inputs by name; an equal one first where several have it.
func inputDifferences(was, is []data.Input) (list []string) {
	if slices.Equal(was, is) {
		return nil
	}
	rest := slices.Clone(was)
	for _, input := range is {
		i := slices.Index(rest, input)
		if i < 0 {
			i = slices.IndexFunc(rest, func(b data.Input) bool { return b.Name == input.Name })
		}
		switch {
		case i < 0:
			list = append(list, "it did not read "+input.Name)
			continue
		case rest[i].Fingerprint != input.Fingerprint:
			list = append(list, "it read other content of "+input.Name+items(rest[i].Items, input.Items))
		}
		rest = slices.Delete(rest, i, i+1)
	}
	for _, input := range rest {
		list = append(list, "it read "+input.Name)
	}
	if len(list) == 0 {
		list = append(list, "it read the same inputs in another order")
	}
	return list
}

// items tells of the numbers of items, where they are known.
func items(was, is int) string {
	switch {
	case was == 0 && is == 0:
		return ""
	case was == is:
		return fmt.Sprintf(", %d items then and now", is)
	}
	return fmt.Sprintf(", %d items then and %d now", was, is)
}

// configDifferences compares two JSON values; objects field by field.
func configDifferences(path string, was, is json.RawMessage) []string {
	was, is = compact(was), compact(is)
	if bytes.Equal(was, is) || len(was) == 0 && path != "" && isOff(is) {
		return nil
	}
	var a, b map[string]json.RawMessage
	if json.Unmarshal(was, &a) != nil || json.Unmarshal(is, &b) != nil || a == nil || b == nil {
		if path == "" {
			return []string{fmt.Sprintf("the config %s", change(was, is))}
		}
		return []string{fmt.Sprintf("config field %s %s", path, change(was, is))}
	}
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	var list []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		list = append(list, configDifferences(setting.Join(path, setting.Key(key)), a[key], b[key])...)
	}
	return list
}

// isOff says whether a value is one of a setting that does nothing: 0, false, null, [], "", or an
// object of such values.
func isOff(raw json.RawMessage) bool {
	var value any
	return json.Unmarshal(raw, &value) == nil && isZero(value)
}

func isZero(value any) bool {
	switch v := value.(type) {
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, inner := range v {
			if !isZero(inner) {
				return false
			}
		}
		return true
	}
	return value == nil || value == false || value == 0.0 || value == ""
}

// change tells of two values, nil for none, in a few words.
func change(was, is json.RawMessage) string {
	switch {
	case len(was) == 0:
		return "was not there and is " + short(is)
	case len(is) == 0:
		return "was " + short(was) + " and is not there"
	}
	return "was " + short(was) + " and is " + short(is)
}

// short cuts a long value: where two long ones differ is not shown.
func short(raw json.RawMessage) string {
	const most = 60 // bytes
	if len(raw) <= most {
		return string(raw)
	}
	cut := most
	for !utf8.RuneStart(raw[cut]) {
		cut--
	}
	return string(raw[:cut]) + "..."
}

// compact drops the white space of a JSON value. What is not JSON stays as it is.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}
