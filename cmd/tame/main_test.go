package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// tame runs a command line and gives the lines it wrote: what came out, then how far it was.
func tame(t *testing.T, stdin string, args ...string) ([]string, error) {
	t.Helper()
	var out, progress bytes.Buffer
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&progress)
	err := root.ExecuteContext(t.Context())
	out.Write(progress.Bytes())
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), err
}

// tinyModel writes a small random reward model with a tokenizer of its own.
func tinyModel(t *testing.T) string { return tinyFolder(t, true) }

// policyModel is tinyModel without the scalar head.
func policyModel(t *testing.T) string { return tinyFolder(t, false) }

func tinyFolder(t *testing.T, head bool) string {
	t.Helper()
	text := []string{"the cat sat on the mat", "the dog sat on the log", "a cat and a dog"}
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = 290
	tok, err := tokenizer.Train(t.Context(), slices.Values(text), cfg)
	require.NoError(t, err)
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 8, HiddenDim: 32, VocabSize: tok.VocabSize(),
		MaxSeqLen: 64, NormEps: 1e-5, RopeTheta: 1e4, BOS: tok.BOS(), EOS: tok.EOS(),
	}, tensor.Float32)
	rng := rand.New(rand.NewPCG(1, 1))
	p.Init(rng)
	if head {
		p.AddHead(rng)
	}
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, model.Save(dir, p, func(tmp string) error { return tok.Save(filepath.Join(tmp, "tokenizer.model")) }))
	return dir
}

func TestBadLinesAreAnsweredAndTheRestGoesOn(t *testing.T) {
	dir := tinyModel(t)
	lines, err := tame(t, `{"text": "the cat"}
not json
{"txt": "x"}

{"text": "x", "messages": []}
{"messages": [{"role": "assistant", "content": "x"}]}
{"text": ""}`, "tokenize", "--tokenizer", filepath.Join(dir, "tokenizer.model"), "--bos", "--eos")
	assert.ErrorIs(t, err, errLines)
	require.Len(t, lines, 6)
	assert.Contains(t, lines[0], `{"ids":[1,`)
	assert.Contains(t, lines[1], `"error":"line 2: `)
	assert.Contains(t, lines[2], `line 3: unknown field`)
	assert.Contains(t, lines[3], `line 5: give`)
	assert.Contains(t, lines[4], `line 6: `)
	assert.Equal(t, `{"ids":[1,2]}`, lines[5])
}

func TestDecodeUndoesTokenize(t *testing.T) {
	file := filepath.Join(tinyModel(t), "tokenizer.model")
	ids, err := tame(t, `{"text": "a dog sat, 42"}`, "tokenize", "--tokenizer", file)
	require.NoError(t, err)
	text, err := tame(t, ids[0], "tokenize", "--tokenizer", file, "--decode")
	require.NoError(t, err)
	assert.Equal(t, []string{`{"text":"a dog sat, 42"}`}, text)
}

func TestScoreAgreesForBothForms(t *testing.T) {
	dir := tinyModel(t)
	lines, err := tame(t, `{"prompt": "the cat", "chosen": "sat", "rejected": "on the mat"}
{"messages": [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sat"}]}
{"messages": [{"role": "user", "content": "the cat"}]}`, "score", "--model", dir)
	assert.ErrorIs(t, err, errLines)
	require.Len(t, lines, 3)
	var pair, single scoreOutput
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &pair))
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &single))
	assert.Equal(t, *pair.Chosen, *single.Score)
	assert.NotEqual(t, *pair.Chosen, *pair.Rejected)
	assert.Contains(t, lines[2], "line 3: the last message has to be the assistant's")
}

// TestGenerateStreams: what is sampled for a line does not depend on the lines before it being good.
func TestGenerateStreams(t *testing.T) {
	dir := policyModel(t)
	args := []string{"generate", "--model", dir, "--temperature", "1", "--max-new-tokens", "8"}
	good, err := tame(t, "{\"prompt\": \"a\"}\n{\"prompt\": \"the cat\"}", args...)
	require.NoError(t, err)
	bad, err := tame(t, "nonsense\n{\"prompt\": \"the cat\"}", args...)
	assert.ErrorIs(t, err, errLines)
	assert.Equal(t, good[1], bad[1])
}

// TestGenerateLogProbs: the log-probabilities that generate writes are those that logprobs gives for its tokens.
func TestGenerateLogProbs(t *testing.T) {
	dir := policyModel(t)
	lines, err := tame(t, `{"prompt": "the cat"}`, "generate", "--model", dir, "--temperature", "1", "--n", "2", "--max-new-tokens", "8", "--seed", "3")
	require.NoError(t, err)
	var out generateOutput
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &out))
	require.Len(t, out.Completions, 2)
	tok, err := tokenizer.Load(filepath.Join(dir, "tokenizer.model"))
	require.NoError(t, err)
	prompt := append([]int32{tok.BOS()}, tok.Encode("the cat")...)
	for _, c := range out.Completions {
		all, err := json.Marshal(logProbsInput{append(slices.Clone(prompt), c.Tokens...)})
		require.NoError(t, err)
		scored, err := tame(t, string(all), "logprobs", "--model", dir)
		require.NoError(t, err)
		var lp logProbsOutput
		require.NoError(t, json.Unmarshal([]byte(scored[0]), &lp))
		assert.Equal(t, c.LogProbs, lp.LogProbs[len(prompt)-1:]) // every bit
	}
}

func TestWhatDoesNotFit(t *testing.T) {
	dir := policyModel(t)
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = 295
	tok, err := tokenizer.Train(t.Context(), slices.Values([]string{"many other words make a larger vocabulary of pieces"}), cfg)
	require.NoError(t, err)
	other := filepath.Join(t.TempDir(), "other.model")
	require.NoError(t, tok.Save(other))
	lines, err := tame(t, `{"prompt": "larger vocabulary of pieces"}`, "generate", "--model", dir, "--tokenizer", other)
	assert.ErrorIs(t, err, errLines, "a piece that the model lacks")
	require.Len(t, lines, 1)
	assert.Contains(t, lines[0], "of the prompt is")
	lines, err = tame(t, "{\"tokens\": [1, 2]}]\n{\"tokens\": [1, 5000]}\n{\"tokens\": [1"+strings.Repeat(", 5", 64)+"]}", "logprobs", "--model", dir)
	assert.ErrorIs(t, err, errLines)
	require.Len(t, lines, 3)
	assert.Contains(t, lines[0], "line 1: there is more after the JSON value")
	assert.Contains(t, lines[1], "5000")
	assert.Contains(t, lines[2], "65 tokens are more than the model's context of 64")
	_, err = tame(t, "", "logprobs", "--model", filepath.Join(t.TempDir(), "missing"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// TestStories compares with llama2.c, through the command line.
func TestStories(t *testing.T) {
	dir := filepath.Join(golden.SharedDir(t), "stories260k")
	raw, err := os.ReadFile(filepath.Join(dir, "golden_greedy.jsonl"))
	require.NoError(t, err)
	for line := range strings.Lines(string(raw)) {
		var want struct {
			Prompt, Output string
			Steps          int
		}
		require.NoError(t, json.Unmarshal([]byte(line), &want))
		in, err := json.Marshal(map[string]string{"prompt": want.Prompt})
		require.NoError(t, err)
		lines, err := tame(t, string(in), "generate", "--model", filepath.Join(dir, "stories260K.bin"),
			"--tokenizer", filepath.Join(dir, "tok512.bin"), "--max-new-tokens", "256")
		require.NoError(t, err)
		var got generateOutput
		require.NoError(t, json.Unmarshal([]byte(lines[0]), &got))
		assert.True(t, strings.HasPrefix(want.Prompt+got.Completions[0].Text, want.Output), "prompt %q gives %q", want.Prompt, got.Completions[0].Text)
	}
}

// What the commands that answer lines write.
type (
	scoreOutput struct {
		Score    *float64 `json:"score"`
		Chosen   *float64 `json:"chosen"`
		Rejected *float64 `json:"rejected"`
	}
	generateOutput struct {
		Completions []completion `json:"completions"`
	}
	logProbsOutput struct {
		LogProbs []float32 `json:"logprobs"`
	}
	tokenizeOutput struct {
		IDs []int32 `json:"ids"`
	}
)
