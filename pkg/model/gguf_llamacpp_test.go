package model

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// llama.cpp itself, where it is at hand, goes on from a prompt with the same text as we do.
func TestLlamaCppGeneratesTheSame(t *testing.T) {
	binary := ""
	for _, name := range []string{"llama-completion", "llama-cli"} {
		if path, err := exec.LookPath(name); err == nil {
			binary = path
			break
		}
	}
	if binary == "" {
		t.Skip("neither llama-completion nor llama-cli is on the PATH")
	}
	dir := storiesDir(t)
	p, err := Load(filepath.Join(dir, "stories260K.bin"))
	require.NoError(t, err)
	tok, err := tokenizer.Load(filepath.Join(dir, "tok512.bin"))
	require.NoError(t, err)
	vocab, err := tok.GGUF(p.Config().VocabSize)
	require.NoError(t, err)
	for _, dtype := range []string{F32, F16, Q8_0} {
		path := saveGGUF(t, p, dtype, vocab)
		ours, err := Load(path) // what the file holds: rounded weights may say something else
		require.NoError(t, err)
		for _, prompt := range []string{"Once upon a time", "Tim and Sara went to the park.", "One day, a big cat"} {
			const n = 60
			want := greedy(t, ours, tok, prompt, n)
			out, err := exec.CommandContext(t.Context(), binary, "-m", path, "-p", prompt, "-n", fmt.Sprint(n), "--temp", "0", "-no-cnv", "-t", "1",
				"--no-warmup", "--no-display-prompt", "--simple-io", "-fa", "off", "-ctk", "f32", "-ctv", "f32").Output()
			require.NoError(t, err)
			got := strings.TrimRight(string(out), "\n")
			// llama.cpp prints from another thread and drops the last words now and then. With Q8_0 it multiplies in 8 bits,
			// which we do not, so the texts part where two tokens are as likely as each other.
			same := len(want) * 2 / 3
			if dtype == Q8_0 {
				same = 50
			}
			assert.GreaterOrEqual(t, len(got), same, "%s, %q: %q", dtype, prompt, got)
			if dtype != Q8_0 {
				same = len(got)
			}
			assert.Equal(t, want[:min(same, len(want))], got[:min(same, len(got))], "%s, %q", dtype, prompt)
		}
	}
}

// greedy is what the model writes after a prompt.
func greedy(t testing.TB, p *Params, tok *tokenizer.Tokenizer, prompt string, n int) string {
	t.Helper()
	d, err := NewDecoder(p, 1, 256)
	require.NoError(t, err)
	prefix := append([]int32{p.Config().BOS}, tok.Encode(prompt)...)
	next, ids := prefix, []int32{}
	for range n {
		logits, err := d.Forward([]Chunk{{Slot: 0, Tokens: next}})
		require.NoError(t, err)
		next = []int32{argmax(logits[0])}
		ids = append(ids, next...)
	}
	head, err := tok.Decode(prefix)
	require.NoError(t, err)
	text, err := tok.Decode(append(prefix, ids...))
	require.NoError(t, err)
	return strings.TrimRight(strings.TrimPrefix(text, head), "\n")
}
