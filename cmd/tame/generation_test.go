package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// generate and chat sample as the model's generation_config.json says unless a flag is set, and tell.
func TestSamplingOfTheModel(t *testing.T) {
	dir := policyModel(t)
	say := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(text), 0o600))
	}
	run := func(args ...string) (string, error) {
		lines, err := tame(t, `{"prompt": "the cat"}`, append([]string{"generate", "--model", dir, "--max-new-tokens", "8", "--n", "3"}, args...)...)
		return strings.Join(lines, "\n"), err
	}
	first := func(out string, err error) string {
		require.NoError(t, err)
		return strings.Split(out, "\n")[0]
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "generation_config.json")))
	greedy := first(run())
	sampled := first(run("--temperature", "1.5", "--top-p", "0.9", "--top-k", "40"))
	require.NotEqual(t, greedy, sampled)

	say(`{"eos_token_id": 2, "do_sample": true, "temperature": 1.5, "top_p": 0.9, "top_k": 40, "repetition_penalty": 1.1}`)
	out, err := run()
	assert.Equal(t, sampled, first(out, err))
	assert.Contains(t, out, dir+": generation_config.json sets temperature 1.5, top-p 0.9, top-k 40 (a flag sets another value)")
	assert.Contains(t, out, dir+": generation_config.json has settings that are not used: repetition_penalty")
	out, err = run("--temperature", "0")
	assert.Equal(t, greedy, first(out, err))
	assert.Contains(t, out, "sets top-p 0.9, top-k 40 (")
	say(`{"do_sample": false, "temperature": 1.5}`)
	out, err = run()
	assert.Equal(t, greedy, first(out, err))
	assert.Contains(t, out, "sets temperature 0 (")
	say(`{"top_p": 7}`)
	_, err = run()
	assert.ErrorContains(t, err, dir+": with generation_config.json: generate: Sampling.TopP is 7")
	lines, err := tame(t, "", "chat", "--model", dir)
	assert.ErrorContains(t, err, "Sampling.TopP is 7", lines)
}
