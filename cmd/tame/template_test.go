package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// A chat template that comes with the tokenizer is used, unless Llama 2's is asked for.
func TestChatTemplateOfTokenizer(t *testing.T) {
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = 270
	trained, err := tokenizer.Train(t.Context(), slices.Values([]string{"a b ab ab abab ba bab"}), cfg)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, trained.SaveFolder(dir))
	with := func(source string) *tokenizer.Tokenizer {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(source), 0o600))
		tok, err := tokenizer.Load(dir)
		require.NoError(t, err)
		return tok
	}
	messages := []data.Message{{Role: data.User, Content: "abab</s>"}, {Role: data.Assistant, Content: "ab"}}
	tok := with("{% for m in messages %}{{ '<|' + m.role[0] + '|>' + m.content + eos_token }}{% endfor %}{% if add_generation_prompt %}<|a|>{% endif %}")
	tmpl, err := chatTemplate(tok, nil, "")
	require.NoError(t, err)
	turns, err := tmpl.EncodeTurns(messages)
	require.NoError(t, err)
	require.Len(t, turns, 1)
	text, err := tok.Decode(turns[0].Prompt)
	require.NoError(t, err)
	assert.Equal(t, "<|u|>abab</s> <|a|>", text, "</s> of the message is letters, EOS is no text, and SentencePiece puts a space before what follows it")
	ids, last := slices.Concat(turns[0].Prompt, turns[0].Answer), len(turns[0].Answer)-1
	assert.Equal(t, tok.EOS(), turns[0].Answer[last])
	assert.Equal(t, 2, len(slices.DeleteFunc(ids, func(id int32) bool { return id != tok.EOS() })))
	text, err = tok.Decode(turns[0].Answer[:last])
	require.NoError(t, err)
	assert.Equal(t, "ab", text)

	_, err = chatTemplate(with("{% if %}"), nil, "")
	assert.ErrorContains(t, err, "jinja parse")
	assert.ErrorContains(t, err, "--template llama2")
	_, err = chatTemplate(tok, nil, "zephyr")
	assert.ErrorContains(t, err, `template is "zephyr", want llama2`)
	tmpl, err = chatTemplate(tok, nil, "llama2")
	require.NoError(t, err)
	messages[0].Content = "abab"

	// Ids that the model lacks are refused when a text has them.
	messages = []data.Message{{Role: data.User, Content: "abab"}, {Role: data.Assistant, Content: "ab"}}
	turns, err = tmpl.EncodeTurns(messages)
	require.NoError(t, err)
	most := slices.Max(slices.Concat(turns[0].Prompt, turns[0].Answer))
	_, err = tmpl.Within(int(most) + 1).EncodeTurns(messages)
	require.NoError(t, err)
	_, err = tmpl.Within(int(most)).EncodeTurns(messages)
	assert.ErrorContains(t, err, "of the piece")
	assert.ErrorContains(t, err, "does the tokenizer belong to the model?")
}
