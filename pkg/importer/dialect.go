package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Dialect is a form in which other people write their data.
type Dialect struct {
	Name string      // such as "hh"
	Form string      // a row, for people
	Rows data.Schema // what it is imported as

	Keys []Key // of its rows, without the common ones

	// fits says whether a row is in this dialect. A row fits no more than one.
	fits func(row fields) bool
	// open is an opener[T] for the T of Rows.
	open any
}

func dialect[T data.Row](name, form string, fits func(row fields) bool, open opener[T], keys ...[]Key) Dialect {
	var zero T
	return Dialect{Name: name, Form: form, Rows: zero.Schema(), Keys: slices.Concat(keys...), fits: fits, open: open}
}

// Dialects are all that Import reads.
func Dialects() []Dialect {
	return slices.Concat(conversationDialects(), pairDialects(), answerDialects(), otherDialects())
}

// otherDialects are those of prompts and of texts.
func otherDialects() []Dialect {
	return []Dialect{
		dialect("prompts", `{"prompt": ...}, {"turns": [...]}, {"instruction": "..."} or {"prompts_final": "..."}`, isPrompt, promptRows,
			reads("names the prompt", "id"), reads("`true` tags a safety prompt", "safety"), dialogKeys, firstOf("questions asked one after the other: only the first is read", "turns"),
			reads("a safety prompt (SimpleSafetyTests)", "prompts_final"), reads("`unsafe` tags a safety prompt", "label"),
			reads("1 tags a safety prompt (OpenAI's moderation data)", "S", "H", "V", "HR", "SH", "S3", "H2", "V2"), labels("reference")),
		dialect(textDialect, `{"text": "..."}, or plain text: .txt files, and all with a separator`,
			func(f fields) bool {
				return f.is("text", '"') && !f.any("label", "prompt", "messages", "instruction") && !isOASST(f) && !isLlama2(f)
			}, textRows, reads("one document", "text"), labels("title", "meta", "metadata")),
	}
}

// Names of the dialects that files are in which are not JSON.
const (
	textDialect = "text"
	tameDialect = "tame" // a dataset of our own
)

// dialectNames lists the dialects for people.
func dialectNames() string {
	var names []string
	for _, d := range Dialects() {
		names = append(names, d.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func dialectNamed(name string) (Dialect, error) {
	for _, d := range Dialects() {
		if d.Name == name {
			return d, nil
		}
	}
	return Dialect{}, fmt.Errorf("importer: unknown dialect %q, want one of %s", name, dialectNames())
}

var errEmptyFile = errors.New("there are no rows in it")

// sampleRows is how many rows are looked at to recognise a dialect.
const sampleRows = 64

// recognise finds the dialect of a file by its first rows: the one that most of them are in. fitting says how many these are. Rows
// that fit none do not count: they will be refused.
func recognise(file string, rows []rawRow) (d Dialect, fitting int, err error) {
	if len(rows) == 0 {
		return d, 0, fmt.Errorf("importer: %s: %w", file, errEmptyFile)
	}
	objects, filled := objectsOf(rows)
	all := Dialects()
	fits := make([]int, len(all))
	fittingAny, best := 0, 0
	for i := range objects {
		some := 0
		for k, d := range all {
			if d.fits(filled[i]) {
				fits[k]++
				some = 1
			}
			if fits[k] > fits[best] {
				best = k
			}
		}
		fittingAny += some
	}
	var found []string
	for k, n := range fits {
		if n > 0 {
			found = append(found, fmt.Sprintf("%s (%d)", all[k].Name, n))
		}
	}
	switch {
	case len(found) == 1 || 2*fits[best] > fittingAny && !slices.ContainsFunc(fits[best+1:], func(n int) bool { return n == fits[best] }):
		return all[best], fits[best], nil
	case len(found) > 1:
		return d, 0, fmt.Errorf("importer: %s: its first %d rows are of several dialects: %s: name one", file, len(rows), strings.Join(found, ", "))
	}
	var seen []string
	for _, f := range objects {
		if keys := strings.Join(slices.Sorted(maps.Keys(f)), ", "); len(seen) < 3 && !slices.Contains(seen, keys) {
			seen = append(seen, keys)
		}
	}
	return d, 0, fmt.Errorf("importer: %s: its rows have the keys %s, which no known dialect has: name one of %s (keys are taken by their exact case)",
		file, strings.Join(seen, "; or "), dialectNames())
}

// objectsOf are the rows that are objects. In filled a key that is null has the value that it has in the first row where it is not: a
// row without its answer, say, has the same keys as the others.
func objectsOf(rows []rawRow) (objects, filled []fields) {
	values := fields{}
	for _, row := range rows {
		var f fields
		if row.err != nil || decode(row.raw, &f) != nil || f == nil {
			continue
		}
		objects = append(objects, f)
		for key, value := range f {
			if isNull(values[key]) {
				values[key] = value
			}
		}
	}
	for _, f := range objects {
		full := maps.Clone(f)
		for key, value := range f {
			if isNull(value) {
				full[key] = values[key]
			}
		}
		filled = append(filled, full)
	}
	return objects, filled
}

// fields are the keys of a row.
type fields map[string]json.RawMessage

// has says whether all keys are there and not null.
func (f fields) has(keys ...string) bool {
	for _, key := range keys {
		if isNull(f[key]) {
			return false
		}
	}
	return true
}

// withKeys fits rows that have all of the keys.
func withKeys(keys ...string) func(fields) bool {
	return func(f fields) bool { return f.has(keys...) }
}

// any says whether one of the keys is there and not null.
func (f fields) any(keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return f.has(key) })
}

// is says of what kind the value of a key is: one of '"', '[', '{', '0' for a number, 't' for a boolean.
func (f fields) is(key string, kind byte) bool {
	if !f.has(key) {
		return false
	}
	switch c := f[key][0]; {
	case c == 't' || c == 'f':
		return kind == 't'
	case c == '-' || c >= '0' && c <= '9':
		return kind == '0'
	default:
		return c == kind
	}
}

// starts says whether the value of a key is a text that begins so.
func (f fields) starts(key, prefix string) bool {
	var text string
	return f.is(key, '"') && json.Unmarshal(f[key], &text) == nil && strings.HasPrefix(unixLines(text), prefix)
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || bytes.Equal(raw, []byte("null")) }

// isKTO says whether a row is an answer with a thumb up or down.
func isKTO(f fields) bool {
	return f.is("label", 't') && (f.any("messages", "conversations") || f.has("prompt", "completion"))
}

// compared says whether a row has more than one answer.
func compared(f fields) bool {
	return f.any("chosen", "rejected", "chosen_response", "response_0", "response_1", "output_1", "completions")
}
