package yamlconf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Docs are the comments of fields, by package, type and name: "sft.Config.Epochs".
type Docs map[string]string

// Print writes a config as YAML that Load reads, each key below its comment.
func Print(w io.Writer, cfg any, docs Docs) error {
	p := printer{docs: docs}
	p.structure(reflect.ValueOf(cfg).Elem(), nil, 0)
	_, err := w.Write(p.out.Bytes())
	return err
}

type printer struct {
	out  bytes.Buffer
	docs Docs
}

func (p *printer) structure(v reflect.Value, omit []string, depth int) {
	fields := fieldsOf(v, omit)
	for i, f := range fields {
		doc := p.docs[f.owner.String()+"."+f.name]
		if doc != "" && i > 0 {
			p.out.WriteByte('\n')
		}
		p.comment(keysForNames(doc, namedIn(fields, f)), f, depth)
		indent := strings.Repeat("  ", depth)
		if text, ok := literal(f.value); ok {
			fmt.Fprintf(&p.out, "%s%s: %s\n", indent, f.key, text)
			continue
		}
		fmt.Fprintf(&p.out, "%s%s:\n", indent, f.key)
		p.structure(f.value, f.omit, depth+1)
	}
}

const commentWidth = 110

// comment writes a field's comment, broken into lines.
func (p *printer) comment(doc string, f field, depth int) {
	prefix := strings.Repeat("  ", depth) + "#"
	line := prefix
	for _, word := range strings.Fields(notes(doc, f)) {
		if len(line)+1+len(word) > commentWidth && line != prefix {
			p.out.WriteString(line + "\n")
			line = prefix
		}
		line += " " + word
	}
	if line != prefix {
		p.out.WriteString(line + "\n")
	}
}

// namedIn are the fields that the comment of one of them may name: those around it and those inside.
func namedIn(fields []field, f field) []field {
	if isMap(f.value) {
		return slices.Concat(fieldsOf(f.value, f.omit), fields)
	}
	return fields
}

// notes are a field's comment, followed by what its type says.
func notes(doc string, f field) string {
	if names := choices(f.value.Type()); len(names) > 0 {
		doc += " One of: " + strings.Join(names, ", ") + "."
	}
	if f.required {
		doc += " Required."
	}
	return strings.TrimSpace(doc)
}

var configDot = regexp.MustCompile(`\bConfig\.(\w)`)

var goName = regexp.MustCompile(`\b[A-Z]\w*\b`)

// keysForNames writes keys where a comment has the names of fields: all names that are no plain words, and a plain one at its beginning.
func keysForNames(doc string, fields []field) string {
	names := map[string]string{}
	for _, f := range fields {
		names[f.name] = f.key
	}
	doc = configDot.ReplaceAllString(doc, "$1")
	first := true
	return goName.ReplaceAllStringFunc(doc, func(word string) string {
		key, known := names[word]
		begins := first && strings.HasPrefix(doc, word)
		first = false
		if known && (begins || strings.ContainsAny(key, "_0123456789")) {
			return key
		}
		return word
	})
}

// literal is a value as YAML in one line; a struct without a text form has none.
func literal(v reflect.Value) (string, bool) {
	if text, ok := textOf(v); ok {
		return quote(text), true
	}
	switch v.Kind() {
	case reflect.Struct:
		return "", false
	case reflect.Slice, reflect.Array:
		items := make([]string, v.Len())
		for i := range items {
			items[i], _ = literal(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]", true
	case reflect.String:
		return quote(v.String()), true
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits()), true
	}
	return fmt.Sprint(v.Interface()), true
}

var plainText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

// quote leaves plain words as they are. Words that YAML takes for something else are text to Load all the same.
func quote(text string) string {
	if plainText.MatchString(text) && text != "null" {
		return text
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

// JSON is the part of a config that decides what comes out, all but its places, with the keys of the YAML file in their order. The same
// config gives the same bytes.
func JSON(cfg any) json.RawMessage {
	var b bytes.Buffer
	writeJSON(&b, reflect.ValueOf(cfg).Elem(), nil)
	return b.Bytes()
}

func writeJSON(b *bytes.Buffer, v reflect.Value, omit []string) {
	b.WriteByte('{')
	first := true
	for _, f := range fieldsOf(v, omit) {
		if f.place {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		fmt.Fprintf(b, "%q:", f.key)
		if _, ok := textOf(f.value); !ok && f.value.Kind() == reflect.Struct {
			writeJSON(b, f.value, f.omit)
			continue
		}
		b.WriteString(jsonLiteral(f.value, f.input))
	}
	b.WriteByte('}')
}

func jsonLiteral(v reflect.Value, isPath bool) string {
	value := v.Interface()
	_, isText := textOf(v)
	switch {
	case isText:
	case v.Kind() == reflect.String && isPath && v.String() != "":
		value = filepath.Base(v.String())
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = jsonLiteral(v.Index(i), isPath)
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	raw, err := json.Marshal(value)
	if err != nil { // NaN or infinite, which no config holds after its Validate
		return "null"
	}
	return string(raw)
}
