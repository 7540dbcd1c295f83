package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// huggingMerge is two pieces: "a b", or since 2024 ["a", "b"].
type huggingMerge [2]string

func (m *huggingMerge) UnmarshalJSON(data []byte) error {
	var pair []string
	if bytes.HasPrefix(data, []byte("[")) {
		if err := json.Unmarshal(data, &pair); err != nil {
			return err
		}
		if len(pair) != 2 {
			return fmt.Errorf("a merge of %d pieces", len(pair))
		}
	} else {
		text := string(data[1:max(1, len(data)-1)])
		if strings.Contains(text, `\`) || !utf8.ValidString(text) || data[0] != '"' { // most are plain, and there are many
			if err := json.Unmarshal(data, &text); err != nil {
				return err
			}
		}
		left, right, ok := strings.Cut(text, " ")
		if !ok || strings.Contains(right, " ") {
			return fmt.Errorf("the merge %q is not two pieces with a space between them", text)
		}
		*m = huggingMerge{left, right}
		return nil
	}
	copy(m[:], pair)
	return nil
}

// eachMerge visits the merges, one at a time: they are most of a file, and a list of them takes many times its size.
func (m *huggingModel) eachMerge(visit func(i int, m huggingMerge) error) error {
	for i, one := range m.merges {
		if err := visit(i, one); err != nil {
			return err
		}
	}
	list := m.Merges
	if len(list) == 0 || string(list) == "null" {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(list))
	if begin, err := dec.Token(); err != nil || begin != json.Delim('[') {
		return errors.New("model: merges is no list")
	}
	for i := 0; dec.More(); i++ {
		var m huggingMerge
		err := dec.Decode(&m)
		if err != nil {
			return fmt.Errorf("model: merges[%d]: %w", i, err)
		}
		if err := visit(i, m); err != nil {
			return err
		}
	}
	return nil
}
