package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/tame-rlhf/tame/internal/jsontext"
)

// maxValues is how many values a row may have, with those in lists and objects: an empty one of two bytes takes a hundred
// times as much when it is decoded.
const maxValues = 1 << 20

var errManyValues = fmt.Errorf("more than %d values in a row", maxValues)

// ready prepares a row for its dialect: numbers that JSON lacks get a form that can be read where they are not used, and
// columns of lists get the form of lists, however they are stored.
func ready(row rawRow) rawRow {
	if row.err == nil && len(row.raw) > maxValues && bytes.Count(row.raw, []byte(","))+bytes.Count(row.raw, []byte("[")) > maxValues {
		if countValues(row.raw) > maxValues {
			row.err = errManyValues
		}
	}
	if row.err != nil {
		return rawRow{line: row.line, element: row.element, err: row.err}
	}
	if bytes.Contains(row.raw, []byte("NaN")) || bytes.Contains(row.raw, []byte("Infinity")) {
		row.raw = finite(row.raw)
	}
	if slices.ContainsFunc(listKeys, func(key string) bool { return holdsOther(row.raw, key) }) {
		row.raw, row.err = withLists(row.raw)
	}
	return row
}

// outside goes through the bytes of JSON that are not in texts.
func outside(raw []byte, visit func(i int)) {
	for i, quoted := 0, false; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted:
			visit(i)
		}
	}
}

func countValues(raw []byte) (n int) {
	outside(raw, func(i int) {
		if c := raw[i]; c == ',' || c == '[' || c == '{' {
			n++
		}
	})
	return n
}

// notFinite is what NaN and infinite numbers, which Python writes, become: JSON that no number can hold, so that a row is
// refused where the value is used.
const notFinite = "1e99999"

func finite(raw []byte) []byte {
	var out []byte
	done := 0
	outside(raw, func(i int) {
		if i < done {
			return
		}
		for _, name := range []string{"NaN", "Infinity"} {
			if bytes.HasPrefix(raw[i:], []byte(name)) {
				out = append(append(out, raw[done:i]...), notFinite...)
				done = i + len(name)
			}
		}
	})
	return append(out, raw[done:]...)
}

// listKeys are the keys that dialects want lists of objects under, or lists of lists.
var listKeys = []string{"messages", "conversations", "conversation", "conversation_a", "conversation_b", "completions", "instances", "history", "turns"}

// holdsOther says whether a row may have an object or a text under a key.
func holdsOther(raw []byte, key string) bool {
	for {
		i := bytes.Index(raw, []byte(key))
		if i < 0 {
			return false
		}
		quoted := i > 0 && raw[i-1] == '"'
		raw = raw[i+len(key):]
		rest, ok := bytes.CutPrefix(raw, []byte{'"'})
		if rest = bytes.TrimLeft(rest, " \t\r\n"); !quoted || !ok || len(rest) == 0 || rest[0] != ':' {
			continue
		}
		if rest = bytes.TrimLeft(rest[1:], " \t\r\n"); len(rest) > 0 && (rest[0] == '"' || rest[0] == '{') {
			return true
		}
	}
}

// withLists gives the columns of lists that form: a text may hold one as JSON, and a list of objects may be stored as an
// object of lists, which is how the datasets library keeps a Sequence of them.
func withLists(raw []byte) ([]byte, error) {
	var row fields
	if !utf8.Valid(raw) || json.Unmarshal(raw, &row) != nil {
		return raw, nil // to be refused when it is decoded
	}
	changed := false
	for _, key := range listKeys {
		list, err := asList(row[key])
		if err != nil {
			return nil, fmt.Errorf("%q %w", key, err)
		}
		if list != nil {
			row[key], changed = list, true
		}
	}
	if !changed {
		return raw, nil
	}
	return json.Marshal(row)
}

var errPythonList = errors.New("is a text with a list as Python shows it, not as JSON: write it with json.dumps")

// asList makes a list of JSON of other forms of one; nil for what is none.
func asList(raw json.RawMessage) (json.RawMessage, error) {
	if isNull(raw) || raw[0] != '"' && raw[0] != '{' {
		return nil, nil
	}
	if raw[0] == '{' {
		return transposed(raw), nil
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return nil, nil
	}
	held := bytes.TrimSpace([]byte(text))
	switch {
	case len(held) == 0 || held[0] != '[' && held[0] != '{':
		return nil, nil
	case !json.Valid(held):
		if bytes.HasPrefix(held, []byte("[{'")) || bytes.HasPrefix(held, []byte("{'")) || bytes.HasPrefix(held, []byte("['")) {
			return nil, errPythonList
		}
		return nil, nil
	case held[0] == '[':
		return held, nil
	}
	return transposed(held), nil
}

// transposed makes a list of objects of an object of lists that are all of one length.
func transposed(raw json.RawMessage) json.RawMessage {
	var columns map[string][]json.RawMessage
	if json.Unmarshal(raw, &columns) != nil || len(columns) == 0 {
		return nil
	}
	var rows []map[string]json.RawMessage
	for name, values := range columns {
		if rows == nil {
			rows = make([]map[string]json.RawMessage, len(values))
		}
		if values == nil || len(values) != len(rows) {
			return nil
		}
		for i, value := range values {
			if rows[i] == nil {
				rows[i] = map[string]json.RawMessage{}
			}
			rows[i][name] = value
		}
	}
	list, _ := json.Marshal(rows) // of valid JSON
	return list
}

// notJSON says what is wrong with a row that is nearly JSON, else err.
func notJSON(raw []byte, err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return jsontext.Explain(err)
	}
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset < 1 || syntax.Offset > int64(len(raw)) {
		return err
	}
	at := syntax.Offset - 1
	before := bytes.TrimRight(raw[:at], " \t\r\n")
	switch c := raw[at]; {
	case (c == '}' || c == ']') && bytes.HasSuffix(before, []byte{','}):
		return fmt.Errorf("a comma before the closing bracket at byte %d: remove it", at)
	case c == '\'':
		return fmt.Errorf("a single quote at byte %d, want a double one: this is how Python shows an object, not JSON: write it with json.dumps", at)
	case bytes.ContainsRune([]byte("NTF"), rune(c)):
		for _, word := range []string{"None", "True", "False"} {
			if bytes.HasPrefix(raw[at:], []byte(word)) {
				return fmt.Errorf("%s at byte %d: this is how Python shows a value, not JSON: write it with json.dumps", word, at)
			}
		}
	}
	return err
}
