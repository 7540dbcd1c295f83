package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLinesRefuseNull: null is neither an empty list, nor the id 0, nor an empty text. Keys are taken as they are written, and once.
func TestLinesRefuseNull(t *testing.T) {
	dir := policyModel(t)
	for _, c := range []struct{ command, line, want string }{
		{"tokenize --decode", `{"ids": null}`, `\"ids\" is null`},
		{"tokenize --decode", `{"ids": [1, null]}`, `element 1 of \"ids\" is null`},
		{"tokenize --decode", `{}`, `\"ids\" is missing`},
		{"tokenize --decode", `null`, `the line is null`},
		{"tokenize", `{"text": "a", "text": "b"}`, `\"text\" is there twice`},
		{"tokenize", `{"Text": "a"}`, `unknown field \"Text\": keys are taken by their exact case`},
		{"tokenize", `{"messages": [{"role": "user", "Content": "a"}]}`, `unknown field \"Content\"`},
		{"tokenize", `{"text": null}`, `\"text\" is null`},
		{"tokenize", `{"messages": [{"role": "user"}]}`, `message 0 of \"messages\" has no \"content\"`},
		{"tokenize", `{"messages": [{"content": "a"}]}`, `message 0 of \"messages\" has no \"role\"`},
		{"tokenize", `{"messages": [{"role": "user", "content": null}]}`, `message 0 of \"messages\" has no \"content\"`},
		{"generate", `{"prompt": null, "tokens": [1]}`, `\"prompt\" is null`},
		{"generate", `{"tokens": [null]}`, `element 0 of \"tokens\" is null`},
		{"logprobs", `{"tokens": [1, null]}`, `element 1 of \"tokens\" is null`},
	} {
		words := strings.Fields(c.command)
		flag := "--model"
		if words[0] == "tokenize" {
			flag = "--tokenizer"
		}
		lines, err := tame(t, c.line+"\n", append(words, flag, dir)...)
		assert.ErrorIs(t, err, errLines)
		assert.Contains(t, strings.Join(lines, "\n"), `{"error":"line 1: `+c.want, "%s", c.line)
	}
	lines, err := tame(t, "\ufeff"+`{"ids": []}`+"\n", "tokenize", "--decode", "--tokenizer", dir)
	assert.NoError(t, err, "a byte order mark is no part of the line")
	assert.Equal(t, `{"text":""}`, strings.TrimSpace(strings.Join(lines, "\n")))
}

// A line that is too long is answered by that, and the others are answered.
func TestLongLines(t *testing.T) {
	dir := policyModel(t)
	long := `{"text": "` + strings.Repeat("a", maxLine) + "\"}\n"
	lines, err := tame(t, long+`{"text": "the cat"}`+"\n", "tokenize", "--tokenizer", dir)
	assert.ErrorIs(t, err, errLines)
	assert.Equal(t, `{"error":"line 1: the line has more than 2097152 bytes, which is the limit"}`, lines[0])
	assert.Contains(t, lines[1], `{"ids":`)
	lines, err = tame(t, strings.Repeat("a", maxLine+1)+"\n/reset\n", "chat", "--model", dir)
	assert.NoError(t, err)
	assert.Contains(t, strings.Join(lines, "\n"), "(the line has more than 2097152 bytes, which is the limit)\n(a new dialogue)")
}

func TestGenerateLimitsItsLines(t *testing.T) {
	dir := policyModel(t)
	for _, n := range []string{"0", "-1", "1000000000", "9223372036854775807"} {
		_, err := tame(t, `{"tokens": [1]}`+"\n", "generate", "--model", dir, "--n", n)
		require.ErrorContains(t, err, "--n is "+n+", want 1 to ")
		most := cutOut(t, `want 1 to (\d+) completions`, err.Error())[0]
		_, err = tame(t, "", "generate", "--model", dir, "--n", most) // all of them would take long: no line is asked for
		assert.NoError(t, err)
	}
	lines, err := tame(t, `{"tokens": [1]}`+"\n", "generate", "--model", dir, "--n", "3", "--max-new-tokens", "9223372036854775807")
	assert.NoError(t, err)
	assert.Contains(t, strings.Join(lines, "\n"), "completions")
}
