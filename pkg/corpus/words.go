package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v4"

	"github.com/tame-rlhf/tame/internal/bounded"
)

// Axis is a group of descriptors that are compared with each other, such as religions, or gender pronouns.
type Axis struct {
	Name        string
	Descriptors []Descriptor
}

// Descriptor is one thing that a document may mention.
type Descriptor struct {
	Name  string
	Terms []string // words, or several in a row: each is a mention
}

// maxWordLists is the largest file of word lists, in bytes. Parsed, YAML takes up to a hundred times its size.
const maxWordLists = 256 << 10

// LoadWordLists reads axes from a YAML file, a key for each. An axis is a map from its descriptors to their terms, or a list
// of terms that are each a descriptor:
//
//	gender pronouns:
//	  She: [she, her, hers, herself]
//	  He: [he, him, his, himself]
//	religion: [christian, muslim, hindu]
func LoadWordLists(path string) ([]Axis, error) {
	raw, err := bounded.ReadAny(path, maxWordLists)
	if err != nil {
		return nil, fmt.Errorf("corpus: word lists: %w", err)
	}
	return ParseWordLists(path, raw)
}

// ParseWordLists is LoadWordLists for what a file of that name holds.
func ParseWordLists(name string, raw []byte) ([]Axis, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("corpus: word lists: %s is empty", name)
	} else if err != nil {
		return nil, fmt.Errorf("corpus: word lists: %s: %w", name, err)
	}
	l := listReader{name: name}
	var axes []Axis
	l.each(document.Content[0], func(key string, value *yaml.Node) {
		axis := Axis{Name: key}
		if value.Kind == yaml.SequenceNode {
			for i, term := range l.terms(value) {
				axis.Descriptors = append(axis.Descriptors, Descriptor{value.Content[i].Value, []string{term}})
			}
		} else {
			l.each(value, func(name string, value *yaml.Node) {
				axis.Descriptors = append(axis.Descriptors, Descriptor{name, l.terms(value)})
			})
		}
		axes = append(axes, axis)
	})
	return axes, l.errs.Err()
}

// listReader collects what is wrong with a file.
type listReader struct {
	name string
	errs bounded.Errors
}

func (l *listReader) wrong(n *yaml.Node, format string, args ...any) {
	l.errs.Add(func() error {
		return fmt.Errorf("corpus: word lists: %s:%d: "+format, append([]any{l.name, n.Line}, args...)...)
	})
}

// each goes through a map.
func (l *listReader) each(n *yaml.Node, visit func(key string, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		l.wrong(n, `want names with lists behind them, such as "religion: [christian, muslim]"`)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode || key.Value == "":
			l.wrong(key, "want a name")
		case seen[key.Value]:
			l.wrong(key, "%q is there twice", key.Value)
		default:
			seen[key.Value] = true
			visit(key.Value, n.Content[i+1])
		}
	}
}

// terms reads a list of terms.
func (l *listReader) terms(n *yaml.Node) (terms []string) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		l.wrong(n, "want a list of words, such as [she, her, hers]")
		return nil
	}
	for _, term := range n.Content {
		if term.Kind != yaml.ScalarNode {
			l.wrong(term, "want a word")
			return nil
		}
		terms = append(terms, term.Value)
	}
	return terms
}
