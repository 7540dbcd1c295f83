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

// A tokenizer with another chat template than Llama 2's is refused where messages are encoded, unless Llama 2's is asked for.
func TestChatTemplateOfTokenizer(t *testing.T) {
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = 270
	trained, err := tokenizer.Train(t.Context(), slices.Values([]string{"a b ab ab abab ba bab"}), cfg)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, trained.SaveFolder(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte("<|{{ role }}|>"), 0o600))
	tok, err := tokenizer.Load(dir)
	require.NoError(t, err)
	_, err = chatTemplate(tok, "")
	assert.ErrorContains(t, err, "is not Llama 2's")
	assert.ErrorContains(t, err, "--template llama2")
	_, err = chatTemplate(tok, "zephyr")
	assert.ErrorContains(t, err, `template is "zephyr", want llama2`)
	tmpl, err := chatTemplate(tok, "llama2")
	require.NoError(t, err)

	// Ids that the model lacks are refused when a text has them.
	messages := []data.Message{{Role: data.User, Content: "abab"}, {Role: data.Assistant, Content: "ab"}}
	turns, err := tmpl.EncodeTurns(messages)
	require.NoError(t, err)
	most := slices.Max(slices.Concat(turns[0].Prompt, turns[0].Answer))
	_, err = tmpl.Within(int(most) + 1).EncodeTurns(messages)
	require.NoError(t, err)
	_, err = tmpl.Within(int(most)).EncodeTurns(messages)
	assert.ErrorContains(t, err, "of the piece")
	assert.ErrorContains(t, err, "does the tokenizer belong to the model?")
}
