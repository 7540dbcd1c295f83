package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/tame-rlhf/tame/pkg/setting"
)

// Differences names what is not the same in a run that is started now: none means that it is the
// same run. Settings are named by their path in a configuration file.
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
	for i := range max(len(id.Inputs), len(now.Inputs)) {
		switch {
		case i >= len(id.Inputs):
			list = append(list, "it did not read "+now.Inputs[i].Name)
		case i >= len(now.Inputs):
			list = append(list, "it read "+id.Inputs[i].Name)
		case id.Inputs[i].Fingerprint != now.Inputs[i].Fingerprint:
			list = append(list, "it read other content of "+now.Inputs[i].Name)
		}
	}
	return list
}

// configDifferences compares two JSON values; objects field by field.
func configDifferences(path string, was, is json.RawMessage) []string {
	was, is = compact(was), compact(is)
	if bytes.Equal(was, is) {
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
