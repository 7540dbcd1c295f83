package data_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// The ids that the reference code's chat format has with the tokenizer of Llama 2.
func TestLlama2TemplateReference(t *testing.T) {
	dir := golden.SharedDir(t)
	tok, err := tokenizer.Load(filepath.Join(dir, "llama_tokenizer", "tokenizer.model"))
	require.NoError(t, err)
	template, err := data.Llama2Template(tok)
	require.NoError(t, err)
	_, err = data.PieceTemplate(tok)
	assert.ErrorContains(t, err, `"[INST]" into 3 pieces`)

	file, err := os.Open(filepath.Join(dir, "llama2_chat_format", "dialogs.jsonl"))
	require.NoError(t, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	count := 0
	for ; lines.Scan(); count++ {
		var want struct {
			Messages []data.Message
			IDs      []int32
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &want))
		e, err := template.EncodeDialog(want.Messages, data.AllTurns)
		require.NoError(t, err)
		ids, counted := e.Tokens, e.Counted()
		assert.Equal(t, want.IDs, ids, "dialogue %d", count)

		// What counts, decoded, are the answers and nothing else.
		var answers []string
		var answer []int32
		for i, id := range ids {
			if counted[i] {
				answer = append(answer, id)
			} else if len(answer) > 0 {
				t.Fatalf("dialogue %d: an answer does not end with EOS", count)
			}
			if id == tok.EOS() {
				assert.True(t, counted[i], "EOS counts")
				text, err := tok.Decode(answer[:len(answer)-1])
				require.NoError(t, err)
				answers = append(answers, text)
				answer = nil
			}
		}
		var wantAnswers []string
		for i, m := range want.Messages {
			if m.Role == data.Assistant {
				wantAnswers = append(wantAnswers, m.Content+" ")
				prompt, err := template.EncodePrompt(want.Messages[:i])
				require.NoError(t, err)
				assert.Equal(t, ids[:len(prompt)], prompt, "what is sampled from is a prefix of what is trained on")
			}
		}
		assert.Equal(t, wantAnswers, answers, "dialogue %d", count)
	}
	assert.Equal(t, 30, count)
}

// A trained tokenizer has the tags as pieces, and the boundary between prompt and answer is exact.
func TestPieceTemplateTrained(t *testing.T) {
	assert.Equal(t, tokenizer.ChatMarkers(), data.Tags())
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = 300
	text := "Hi there. Hello you. Bye bye. Be kind."
	tok, err := tokenizer.Train(t.Context(), slices.Values([]string{text, text}), cfg)
	require.NoError(t, err)
	template, err := data.PieceTemplate(tok)
	require.NoError(t, err)
	for _, messages := range [][]data.Message{
		withSystem("Be kind.", dialog("Hi there.", "Hello you.", "Bye", "bye.")),
		dialog("Hi\n\nthere.", ""),
		dialog("日本", "\u00a0 é ~"),
	} {
		whole, err := template.EncodeDialog(messages, data.AllTurns)
		require.NoError(t, err)
		prompt, err := template.EncodePrompt(messages[:len(messages)-1])
		require.NoError(t, err)
		assert.Equal(t, prompt, whole.Tokens[:len(prompt)])
		end, _ := tok.ID("[/INST]")
		assert.Equal(t, end, prompt[len(prompt)-1])
	}
}

// Llama 2's format, written in Jinja as models are saved with it, gives the same ids and weights as the format that is built in.
func TestLlama2AsJinja(t *testing.T) {
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = 300
	text := "Hi there. Hello you. Bye bye. Be kind."
	tok, err := tokenizer.Train(t.Context(), slices.Values([]string{text, text}), cfg)
	require.NoError(t, err)
	builtIn, err := data.Llama2Template(tok)
	require.NoError(t, err)
	jinja, err := data.JinjaTemplate(tok, tokenizer.Llama2Chat)
	require.NoError(t, err)
	for _, messages := range [][]data.Message{
		dialog("Hi there."),
		dialog("Hi </s> <s>there.", " Hello\nyou. </s>"),
		withSystem(" Be kind.\n", dialog("  Hi there. ", "Hello you.", "Bye", "bye.", "Hello.")),
		dialog("日本", "\u00a0 é ~", " x\t", ""),
	} {
		want, err := builtIn.EncodeDialog(messages, data.AllTurns)
		require.NoError(t, err)
		got, err := jinja.EncodeDialog(messages, data.AllTurns)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}
