package jsontext_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/jsontext"
)

type message struct {
	Role string `json:"role"`
}

type request struct {
	Text     string         `json:"text"`
	Messages []*message     `json:"messages,omitempty"`
	Counts   map[string]int `json:"counts"`
	Plain    int
}

// What encoding/json lets pass is refused, at any depth.
func TestDecode(t *testing.T) {
	for line, want := range map[string]string{
		`{"text": "a", "messages": [{"role": "x"}], "counts": {"A": 1, "a": 2}}`: "",
		`{"text": "a"}` + " \r\n":         "",
		`{"Plain": 1}`:                    "",
		`{"plain": 1}`:                    `want "Plain"`,
		`{}`:                              "",
		`{"text": "a", "text": "b"}`:      `"text" is there twice`,
		`{"text": "a", "te\u0078t": "b"}`: `"text" is there twice`,
		`{"Text": "a"}`:                   `unknown field "Text": keys are taken by their exact case, want "text"`,
		`{"texts": "a"}`:                  `unknown field "texts"`,
		`{"messages": [{"role": "a", "role": 1}]}`:       `"messages.role" is a number, want a text`,
		`{"messages": [{}, {"role": "a", "role": "b"}]}`: `"role" is there twice`,
		`{"messages": [{"ROLE": "a"}]}`:                  `unknown field "ROLE"`,
		`{"counts": {"a": 1, "a": 2}}`:                   `"a" is there twice`,
		`{"text": "a"} {"text": "b"}`:                    "there is more after the JSON value",
		`{"text": "a"} because`:                          "there is more after the JSON value",
		`[{"text": "a"}]`:                                "it is a list, want an object",
		`{"text": "a"`:                                   "ends too early",
		"":                                               "it is empty",
	} {
		var r request
		err := jsontext.Decode([]byte(line), &r)
		if want == "" {
			assert.NoError(t, err, line)
		} else {
			assert.ErrorContains(t, err, want, line)
		}
	}
	var list []request
	require.ErrorContains(t, jsontext.Decode([]byte(`[{"text": "a"}, {"text": "a", "text": "a"}]`), &list), "twice")
	var free any
	require.ErrorContains(t, jsontext.Decode([]byte(`{"a": {"b": 1, "b": 2}}`), &free), `"b" is there twice`)
	require.NoError(t, jsontext.Decode([]byte(`{"a": {"b": 1, "B": 2}}`), &free))
}
