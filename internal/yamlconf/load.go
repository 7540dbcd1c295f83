package yamlconf

import (
	"bytes"
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Source remembers where each key was set, for later errors.
type Source struct {
	file string
	root reflect.Value
	at   map[string]string // path of a key: "sft.yaml:7", or "--set optim.learning_rate=1"
}

// maxFileBytes is the largest file of settings. Parsed, YAML takes up to a hundred times its size.
const maxFileBytes = 512 << 10

// Load reads a file over dst, a pointer to a struct with its defaults. Without a name nothing is read. All that is wrong is reported.
func Load(name string, dst any) (*Source, error) {
	if name == "" {
		return newSource("", dst), nil
	}
	raw, err := bounded.ReadAny(name, maxFileBytes)
	if err != nil {
		return nil, err
	}
	return Parse(name, raw, dst)
}

func newSource(file string, dst any) *Source {
	return &Source{file: file, root: reflect.ValueOf(dst).Elem(), at: map[string]string{}}
}

// Parse is Load for what a file of that name holds.
func Parse(name string, raw []byte, dst any) (*Source, error) {
	s := newSource(name, dst)
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	switch {
	case errors.Is(err, io.EOF): // empty, or comments only
		return s, nil
	case err != nil:
		return nil, s.syntax(err)
	case !errors.Is(decoder.Decode(&second), io.EOF):
		return nil, fmt.Errorf("%s: there is a second document in the file, want one", name)
	}
	r := reader{source: s, where: func(n *yaml.Node) string { return fmt.Sprintf("%s:%d", name, n.Line) }}
	r.structure(document.Content[0], s.root, nil, "")
	return s, r.errs.Err()
}

// syntax puts the line of a YAML error where the other errors have it.
func (s *Source) syntax(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if line, message, ok := strings.Cut(rest, ": "); ok {
			return fmt.Errorf("%s:%s: no YAML: %s", s.file, line, message)
		}
	}
	return fmt.Errorf("%s: no YAML: %s", s.file, text)
}

// Set carries out an assignment such as optim.learning_rate=1e-4, whose right side is YAML.
func (s *Source) Set(assignment string) error {
	path, text, ok := strings.Cut(assignment, "=")
	if !ok || path == "" {
		return fmt.Errorf("--set %s: want key=value, such as optim.learning_rate=1e-4", assignment)
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return fmt.Errorf("--set %s: %s", assignment, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str"} // key= is an empty text
	if len(document.Content) > 0 {
		value = document.Content[0]
	}
	keys := strings.Split(path, ".")
	for _, key := range slices.Backward(keys) {
		name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}
		value = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{name, value}}
	}
	r := reader{source: s, where: func(*yaml.Node) string { return "--set " + assignment }}
	r.structure(value, s.root, nil, "")
	return r.errs.Err()
}

// reader walks a document and a struct side by side.
type reader struct {
	source *Source
	where  func(*yaml.Node) string
	errs   bounded.Errors
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.errs.Add(func() error { return fmt.Errorf("%s: %s", r.where(n), fmt.Sprintf(format, args...)) })
}

func (r *reader) structure(n *yaml.Node, v reflect.Value, omit []string, path string) {
	n = resolve(n)
	fields := fieldsOf(v, omit)
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s is %s, want keys: %s", cmp.Or(path, "the file"), describe(n), keysOf(fields))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := name.Value
		if line, twice := seen[key]; twice {
			r.fail(name, "key %q stands here again, first in line %d", key, line)
			continue
		}
		seen[key] = name.Line
		k := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
		if k < 0 {
			r.unknown(name, fields, path)
			continue
		}
		at := setting.Join(path, key)
		r.source.at[at] = r.where(name)
		r.value(value, fields[k].value, fields[k].omit, at)
	}
}

// value reads one value, whatever it is.
func (r *reader) value(n *yaml.Node, v reflect.Value, omit []string, path string) {
	n = resolve(n)
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" && textual(v):
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
			r.fail(n, "%s: %v", path, err)
		}
	case v.Kind() == reflect.Struct:
		r.structure(n, v, omit, path)
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		r.list(n, v, path)
	default:
		if err := scalar(n, v); err != nil {
			r.fail(n, "%s is %s, %v", path, describe(n), err)
		}
	}
}

func (r *reader) list(n *yaml.Node, v reflect.Value, path string) {
	items := n.Content
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null":
		items = []*yaml.Node{n}
	case n.Kind != yaml.SequenceNode:
		r.fail(n, "%s is %s, want a list", path, describe(n))
		return
	}
	before, list := r.errs.Len(), reflect.MakeSlice(reflect.SliceOf(v.Type().Elem()), len(items), len(items))
	for i, item := range items {
		r.value(item, list.Index(i), nil, fmt.Sprintf("%s[%d]", path, i))
	}
	switch {
	case r.errs.Len() > before: // it stays as it was, as other values do
	case v.Kind() == reflect.Array && v.Len() != len(items):
		r.fail(n, "%s has %d values, want %d", path, len(items), v.Len())
	case v.Kind() == reflect.Array:
		reflect.Copy(v, list)
	case len(items) == 0:
		v.SetZero()
	default:
		v.Set(list)
	}
}

// scalar reads a plain value; the error says what is wanted.
func scalar(n *yaml.Node, v reflect.Value) error {
	plain := n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null"
	bare := plain && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	digits := strings.ReplaceAll(n.Value, "_", "")
	switch {
	case v.Kind() == reflect.String:
		if !plain {
			return errors.New("want a text")
		}
		v.SetString(n.Value)
	case v.Kind() == reflect.Bool:
		if !bare || n.Value != "true" && n.Value != "false" {
			return errors.New("want true or false")
		}
		v.SetBool(n.Value == "true")
	case v.CanInt():
		x, err := strconv.ParseInt(digits, 10, v.Type().Bits())
		if !bare || err != nil {
			return errors.New("want a whole number")
		}
		v.SetInt(x)
	case v.CanUint():
		x, err := strconv.ParseUint(digits, 10, v.Type().Bits())
		if !bare || err != nil {
			return errors.New("want a whole number of at least 0")
		}
		v.SetUint(x)
	case v.CanFloat():
		x, err := strconv.ParseFloat(digits, v.Type().Bits())
		if !bare || err != nil || !strings.ContainsAny(digits, "0123456789") {
			return errors.New("want a number")
		}
		v.SetFloat(x)
	default:
		return fmt.Errorf("and a field of type %v cannot be set", v.Type())
	}
	return nil
}

// resolve follows an alias to its anchor.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// describe names a value in an error.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "empty"
	}
	return strconv.Quote(n.Value)
}
