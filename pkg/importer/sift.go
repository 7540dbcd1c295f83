package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// sifter takes from a row what its dialect reads: only that is decoded, and what else has something to say is noted.
type sifter struct {
	keys   []Key
	score  string          // Config.Score
	unused func(UnusedKey) // called for each key that is left out and has a value
}

// sift copies a JSON object without the keys that are not read. Keys are taken by their exact case, unlike
// encoding/json does, and none twice.
func (s *sifter) sift(raw []byte) ([]byte, error) {
	if len(raw) == 0 || raw[0] != '{' || !json.Valid(raw) {
		return raw, nil // decoding says what is wrong
	}
	return s.value(make([]byte, 0, len(raw)), raw, s.keys, "")
}

// value copies the value of a key that is read. keys are those of objects in it.
func (s *sifter) value(to, raw []byte, keys []Key, path string) (_ []byte, err error) {
	switch {
	case raw[0] == '{' && keys != nil:
		return s.members(to, raw, keys, path)
	case raw[0] == '[' && keys != nil:
		to = append(to, '[')
		for i, element := range elements(raw) {
			if i > 0 {
				to = append(to, ',')
			}
			if to, err = s.value(to, element, keys, path); err != nil {
				return nil, err
			}
		}
		return append(to, ']'), nil
	}
	if half := loneSurrogate(raw); half != "" {
		return nil, fmt.Errorf("%s has %s, which is half of a character", keyPlace(path), half)
	}
	return append(to, raw...), nil
}

// keyPlace names a key with those that it is in: "weight" (in messages).
func keyPlace(path string) string {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return fmt.Sprintf("%q (in %s)", path[i+1:], path[:i])
	}
	return fmt.Sprintf("%q", path)
}

func (s *sifter) members(to, raw []byte, keys []Key, path string) ([]byte, error) {
	seen := map[string]json.RawMessage{}
	var order []string
	for name, value := range members(raw) {
		if _, twice := seen[name]; twice {
			return nil, fmt.Errorf("the key %s is there twice", keyPlace(join(path, name)))
		}
		seen[name], order = value, append(order, name)
	}
	top, asked := path == "", s.score
	if asked != "" && find(keys, scoreKeys[0], false) == nil {
		asked = "" // nothing is graded here
	}
	grade := score(seen, asked)
	to = append(to, '{')
	for _, name := range order {
		value, key, here := seen[name], find(keys, name, top), join(path, name)
		if key == nil && asked == name {
			key = &Key{Name: name, grade: true}
		}
		read := key != nil && key.Use == KeyRead && (!key.grade || name == grade)
		switch {
		case !read && isEmpty(value):
			continue
		case !read && key != nil && key.Use == KeyRefused:
			return nil, fmt.Errorf("%s is not empty: %s", keyPlace(here), key.Note)
		case !read:
			s.unused(UnusedKey{Key: here, Label: key != nil && key.Use == KeyLabel, Hint: caseHint(keys, key, name)})
			continue
		}
		if n := len(elements(value)); key.first && n > 1 {
			s.unused(UnusedKey{Key: here + "[1:]", Label: true})
		}
		if to[len(to)-1] != '{' {
			to = append(to, ',')
		}
		to = append(appendQuoted(to, name), ':')
		var err error
		if to, err = s.value(to, value, key.Keys, here); err != nil {
			return nil, err
		}
	}
	return append(to, '}'), nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// caseHint names the key that differs from one that is not used in its case only.
func caseHint(keys []Key, found *Key, name string) string {
	if found != nil {
		return ""
	}
	for _, key := range keys {
		if key.Use == KeyRead && strings.EqualFold(key.Name, name) {
			return fmt.Sprintf("keys are taken by their exact case: want %q", key.Name)
		}
	}
	return ""
}

// isEmpty says whether a value says nothing. Tables write a list that is empty as a text, too.
func isEmpty(raw []byte) bool {
	switch string(bytes.Trim(raw, "\" \t")) {
	case "", "null", "[]", "{}", `\n`:
		return true
	}
	return false
}

// members goes through the keys of a JSON object that is valid.
func members(raw []byte) func(yield func(string, json.RawMessage) bool) {
	return func(yield func(string, json.RawMessage) bool) {
		for at := skip(raw, 1); raw[at] != '}'; {
			end := valueEnd(raw, at)
			var name string
			if quoted := raw[at:end]; bytes.IndexByte(quoted, '\\') < 0 {
				name = string(quoted[1 : len(quoted)-1])
			} else {
				_ = json.Unmarshal(quoted, &name) // it is valid
			}
			at = skip(raw, skip(raw, end)+1) // behind the colon
			end = valueEnd(raw, at)
			if !yield(name, raw[at:end]) {
				return
			}
			if at = skip(raw, end); raw[at] == ',' {
				at = skip(raw, at+1)
			}
		}
	}
}

// elements are those of a JSON array that is valid; none of another value.
func elements(raw []byte) (list []json.RawMessage) {
	if raw[0] != '[' {
		return nil
	}
	for at := skip(raw, 1); raw[at] != ']'; {
		end := valueEnd(raw, at)
		list = append(list, raw[at:end])
		if at = skip(raw, end); raw[at] == ',' {
			at = skip(raw, at+1)
		}
	}
	return list
}

func skip(raw []byte, at int) int {
	for raw[at] == ' ' || raw[at] == '\t' || raw[at] == '\n' || raw[at] == '\r' {
		at++
	}
	return at
}

// valueEnd is where the value that begins at at ends.
func valueEnd(raw []byte, at int) int {
	depth := 0
	for ; at < len(raw); at++ {
		switch raw[at] {
		case '"':
			for at++; raw[at] != '"'; at++ {
				if raw[at] == '\\' {
					at++
				}
			}
			if depth == 0 {
				return at + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 { // of what a number or a word is in
				return at
			}
			if depth--; depth == 0 {
				return at + 1
			}
		case ',', ' ', '\t', '\n', '\r', ':':
			if depth == 0 {
				return at
			}
		}
	}
	return at
}

// loneSurrogate finds half of a character outside of the first 65,536, which encoding/json would replace; "" if there is none.
func loneSurrogate(raw []byte) string {
	half := func(at int) (high, low bool) { // of the escape \uD83D
		if at+6 > len(raw) || raw[at] != '\\' || raw[at+1] != 'u' || raw[at+2]|0x20 != 'd' {
			return false, false
		}
		c := raw[at+3] | 0x20
		return c == '8' || c == '9' || c == 'a' || c == 'b', c >= 'c' && c <= 'f'
	}
	for at := 0; at < len(raw); at++ {
		if raw[at] != '\\' {
			continue
		}
		high, low := half(at)
		if high {
			if _, second := half(at + 6); second {
				at += 11
				continue
			}
		}
		if high || low {
			return string(raw[at : at+6])
		}
		at++
	}
	return ""
}

// named is a text of a row with its key.
type named struct {
	key  string
	text *string
}

// oneOf is the text of a field that has several names: nil if none is there. Two that differ are refused.
func oneOf(texts ...named) (*string, error) {
	var first named
	for _, t := range texts {
		switch {
		case t.text == nil:
		case first.text == nil || strings.TrimSpace(*first.text) == "":
			first = t
		case strings.TrimSpace(*t.text) != "" && strings.TrimSpace(*t.text) != strings.TrimSpace(*first.text):
			return nil, differ(first.key, *first.text, t.key, *t.text)
		}
	}
	return first.text, nil
}

// differ names two texts that ought to be one, from where they part.
func differ(a, textA, b, textB string) error {
	x, y := []rune(strings.TrimSpace(textA)), []rune(strings.TrimSpace(textB))
	at := 0
	for at < min(len(x), len(y)) && x[at] == y[at] {
		at++
	}
	from := max(0, at-12)
	part := func(text []rune) string {
		s := string(text[from:min(len(text), at+24)])
		if from > 0 {
			s = "..." + s
		}
		if len(text) > at+24 {
			s += "..."
		}
		return s
	}
	return fmt.Errorf("%q and %q differ: '%s' and '%s'", a, b, part(x), part(y))
}
