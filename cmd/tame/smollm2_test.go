package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// A real chat model from its GGUF file, against transformers with the same file: the ids of its chat template, log-probabilities and
// greedy answers. testdata/smollm2.py has where the file is from, and made the values.
func TestSmolLM2(t *testing.T) {
	path := os.Getenv("TAME_SMOLLM2_GGUF")
	if path == "" {
		t.Skip("TAME_SMOLLM2_GGUF names no SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	raw, err := os.ReadFile("testdata/smollm2.json")
	require.NoError(t, err)
	var want []struct {
		Messages       []data.Message
		Prompt, Answer []int32
		Gaps, LogProbs []float64 // gaps: of the two largest logits
	}
	require.NoError(t, json.Unmarshal(raw, &want))
	require.Len(t, want, 10)
	var dialogs, sequences strings.Builder
	for _, w := range want {
		require.NoError(t, json.NewEncoder(&dialogs).Encode(map[string]any{"messages": w.Messages}))
		require.NoError(t, json.NewEncoder(&sequences).Encode(map[string]any{"tokens": append(w.Prompt[:len(w.Prompt):len(w.Prompt)], w.Answer...)}))
	}
	lines := func(stdin string, args ...string) *json.Decoder {
		out, err := tame(t, stdin, args...)
		require.NoError(t, err)
		return json.NewDecoder(strings.NewReader(strings.Join(out, "\n")))
	}
	ids := lines(dialogs.String(), "tokenize", "--tokenizer", path)
	logProbs := lines(sequences.String(), "logprobs", "--model", path)
	answers := lines(dialogs.String(), "generate", "--model", path, "--temperature", "0", "--max-new-tokens", "60")
	for _, w := range want {
		var got struct {
			IDs         []int32
			LogProbs    []float64
			Completions []struct{ Tokens []int32 }
		}
		for _, line := range []*json.Decoder{ids, logProbs, answers} {
			require.NoError(t, line.Decode(&got))
		}
		assert.Equal(t, w.Prompt, got.IDs)
		assert.InDeltaSlice(t, w.LogProbs, got.LogProbs, 1e-4)
		said := got.Completions[0].Tokens
		n := 0
		for n < len(w.Answer) && n < len(said) && said[n] == w.Answer[n] {
			n++
		}
		if n < len(w.Answer) { // texts part at the first difference
			assert.Less(t, w.Gaps[n], 1e-2, "%s: token %d", w.Messages[0].Content, n)
		}
	}
}
