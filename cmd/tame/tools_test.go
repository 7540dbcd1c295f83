package main

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// file writes a text into a file of that name.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	return path
}

func TestConvertData(t *testing.T) {
	in := filepath.Join(t.TempDir(), "hh.jsonl.gz")
	f, err := os.Create(in)
	require.NoError(t, err)
	w := gzip.NewWriter(f)
	_, err = w.Write([]byte(`{"chosen": "\n\nHuman: Hi\n\nAssistant: Hello", "rejected": "\n\nHuman: Hi\n\nAssistant: No"}
{"chosen": "broken", "rejected": ""}
` + strings.Repeat("{}\n", 14)))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	out := filepath.Join(t.TempDir(), "hh.arrow")
	text := mustRun(t, "convert", "data", in, out, "--as", "hh", "--kind", "safety", "--rating", "slightly better")
	assert.Contains(t, text, "1 rows taken, 15 refused")
	assert.Contains(t, text, in+":2: chosen: does not begin with")
	assert.Contains(t, text, "and 5 more")
	rows, l, err := data.Read[data.Preference](out)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	assert.Equal(t, data.SafetySet, rows[0].Set)
	assert.Equal(t, data.SlightlyBetter, rows[0].Rating)
	assert.Equal(t, "import hh", l.Stage)
	assert.Contains(t, mustRun(t, "lineage", out), "hh.arrow  import hh\n└── hh.jsonl.gz")
	assert.Contains(t, mustRun(t, "lineage", out, "--json"), `"fingerprint": "sha256:`)

	_, err = tame(t, "", "convert", "data", in, out, "--as", "hh")
	assert.ErrorContains(t, err, out+" already exists")
	other := filepath.Join(t.TempDir(), "other.arrow")
	lines, err := tame(t, "", "convert", "data", in, other, "--as", "messages")
	assert.ErrorContains(t, err, `no row could be used, so `+other+` is not written: are its rows of the dialect "messages"?`)
	assert.Contains(t, strings.Join(lines, "\n"), "0 rows taken, 16 refused")
	assert.NoFileExists(t, other)
	_, err = tame(t, "", "convert", "data", in, other, "--as", "chat")
	assert.ErrorContains(t, err, `unknown dialect "chat", want one of alpaca, alpaca-eval, anthropic-evals, `)
	_, err = tame(t, "", "lineage", in)
	assert.ErrorContains(t, err, "does not say where it comes from")
}

func TestConvertDataForms(t *testing.T) {
	for form, row := range map[string]string{
		"alpaca":     `{"instruction": "a", "input": "", "output": "b"}`,
		"sharegpt":   `{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}`,
		"messages":   `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`,
		"preference": `{"prompt": "a", "chosen": "b", "rejected": "c"}`,
		"prompts":    `{"prompt": "a"}`,
		"text":       `{"text": "a"}`,
	} {
		out := filepath.Join(t.TempDir(), form+".arrow")
		one, two := file(t, "1.jsonl", row+"\n"), file(t, "2.jsonl", row+"\n")
		assert.Contains(t, mustRun(t, "convert", "data", one, two, out, "--as", form), "2 rows taken, 0 refused", form)
		l, err := data.ReadLineage(out)
		require.NoError(t, err)
		assert.Len(t, l.Inputs, 2)
	}
}

func TestConvertModel(t *testing.T) {
	in, out := tinyModel(t), filepath.Join(t.TempDir(), "out")
	assert.Contains(t, mustRun(t, "convert", "model", in, out), "with a tokenizer of 290 pieces")
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.model"} {
		assert.Equal(t, fingerprint(t, filepath.Join(in, name)), fingerprint(t, filepath.Join(out, name)), name)
	}
	_, err := tame(t, "", "convert", "model", in, out)
	assert.ErrorContains(t, err, "already exists")
}

func TestPretrain(t *testing.T) {
	text := file(t, "cats.txt", strings.Repeat("the cat sat on the mat<|endoftext|>a dog sat on a log<|endoftext|>the dog and the cat<|endoftext|>", 8))
	tok := filepath.Join(t.TempDir(), "tok.model")
	assert.Regexp(t, `^285 pieces from 24 documents, \d\.\d\d characters a token`, mustRun(t, "tokenizer", "train", "--vocab-size", "285", text, tok))
	_, err := tame(t, "", "tokenizer", "train", "--vocab-size", "28500", text, tok+"2")
	assert.ErrorContains(t, err, "VocabSize is 28500, want at most")

	config := yamlFile(t, `
data: `+text+`
vocab_size: 285
shape: {dim: 16, num_layers: 1, num_heads: 2, num_kv_heads: 1, head_dim: 8, hidden_dim: 32, max_seq_len: 32}
optim: {learning_rate: 1e-2}
warmup_steps: 2
steps: 20
batch_tokens: 128
micro_tokens: 128
micro_segments: 16
held_out: 0.4
`)
	out := filepath.Join(t.TempDir(), "base")
	got := mustRun(t, "pretrain", "--config", config, "--set", "output="+out)
	assert.Contains(t, got, "training a tokenizer of 285 pieces")
	assert.Regexp(t, `20 steps, \d+ tokens; loss of the last step \d`, got)
	assert.Regexp(t, `held out: \d+ documents, loss 5\.\d+ before and [0-4]\.\d+ after`, got)

	// Going on from a model, with a dataset.
	arrow := filepath.Join(t.TempDir(), "cats.arrow")
	assert.Contains(t, mustRun(t, "convert", "data", text, arrow, "--as", "text"), "24 rows taken")
	mustRun(t, "pretrain", "--config", config, "--set", "model="+out, "--set", "data="+arrow, "--set", "output="+out+"2", "--set", "steps=2")
	_, err = tame(t, "", "pretrain", "--config", config, "--set", "vocab_size=9999", "--set", "output="+out+"3")
	assert.ErrorContains(t, err, "--set vocab_size=9999: vocab_size is 9999, want at most")
	_, err = tame(t, "", "pretrain", "--config", config, "--set", "shape.head_dim=7", "--set", "output="+out+"3")
	assert.ErrorContains(t, err, "--set shape.head_dim=7: shape.head_dim is 7, want an even number")
}

// A stream gives the model that it gives again, evaluates on other data, and refuses what it cannot do.
func TestPretrainStream(t *testing.T) {
	text := file(t, "cats.txt", strings.Repeat("the cat sat on the mat<|endoftext|>a dog sat on a log<|endoftext|>the dog and the cat<|endoftext|>", 8))
	arrow := filepath.Join(t.TempDir(), "cats.arrow")
	mustRun(t, "convert", "data", text, arrow, "--as", "text")
	args := []string{"pretrain"}
	for _, set := range []string{
		"vocab_size=285", "shape.dim=16", "shape.num_layers=1", "shape.num_heads=2", "shape.num_kv_heads=1", "shape.head_dim=8", "shape.hidden_dim=32",
		"shape.max_seq_len=32", "optim.learning_rate=1e-2", "warmup_steps=2", "steps=20", "batch_tokens=128", "micro_tokens=128", "micro_segments=16",
		"stream=true", "stream_block=5", "held_out_data=" + text, "eval_every=4",
	} {
		args = append(args, "--set", set)
	}
	out := filepath.Join(t.TempDir(), "base")
	got := mustRun(t, append(args, "--set", "data="+arrow, "--set", "output="+out)...)
	assert.Contains(t, got, "training a tokenizer of 285 pieces")
	assert.Regexp(t, `held out: 24 documents, loss 5\.\d+ before and [0-4]\.\d+ after`, got)
	assert.Contains(t, got, "the weights are those after step 20, the best on what is held out: loss ")
	mustRun(t, append(args, "--set", "data="+arrow, "--set", "output="+out+"2", "--set", "checkpoint_every=3")...)
	assert.Equal(t, fingerprint(t, filepath.Join(out, "model.safetensors")), fingerprint(t, filepath.Join(out+"2", "model.safetensors")))

	for want, sets := range map[string][]string{
		"held_out is 0.1, want 0 with held_out_data":               {"held_out=0.1"},
		"held_out is 0.1, want 0 with stream: give held_out_data":  {"held_out=0.1", "held_out_data=[]"},
		"eval_every is 4, want 0 without held_out":                 {"held_out_data=[]"},
		"want a dataset with stream: tame convert data " + text:    {"data=" + text},
		"stream_block is 0, want at least 1":                       {"stream_block=0"},
		`frozen[0] is layer, want a pattern that matches a weight`: {"frozen=layer"},
		"--set patience=-1: patience is -1, want at least 0":       {"patience=-1"},
		`"embed" is not a learning rate factor, want PATTERN=FACT`: {"lr_factors=embed"},
	} {
		more := append(slices.Clone(args), "--set", "data="+arrow, "--set", "output="+out+"3")
		for _, set := range sets {
			more = append(more, "--set", set)
		}
		_, err := tame(t, "", more...)
		assert.ErrorContains(t, err, want)
	}
}

func TestChat(t *testing.T) {
	dir := chatModel(t)
	p, tok, err := model.LoadWithTokenizer(dir, "")
	require.NoError(t, err)
	tmpl, err := chatTemplate(tok, nil, "")
	require.NoError(t, err)

	// What the model says at temperature 0, by the command for other programs, which knows of no turns.
	dialog, want := []int32{}, []string{}
	for _, line := range []string{"the cat", "a dog sat"} {
		ids, err := tmpl.EncodePrompt([]data.Message{{Role: data.User, Content: line}})
		require.NoError(t, err)
		dialog = append(dialog, ids...)
		in, err := json.Marshal(map[string]any{"tokens": dialog})
		require.NoError(t, err)
		out, err := tame(t, string(in), "generate", "--model", dir, "--max-new-tokens", "6")
		require.NoError(t, err)
		var got generateOutput
		require.NoError(t, json.Unmarshal([]byte(out[0]), &got))
		answer := got.Completions[0]
		dialog = append(dialog, answer.Tokens...)
		if answer.Finish == "length" {
			dialog = append(dialog, tok.EOS())
		}
		text, err := tok.Decode(answer.Tokens)
		require.NoError(t, err)
		want = append(want, text)
	}
	args := []string{"chat", "--model", dir, "--temperature", "0", "--max-new-tokens", "6"}
	lines, err := tame(t, "the cat\n\na dog sat\n/reset\nthe cat\n/help\n[INST] no\n/quit\nnot read", args...)
	require.NoError(t, err)
	require.Len(t, lines, 6)
	assert.Equal(t, append(slices.Clone(want), "(a new dialogue)", want[0]), lines[:4])
	assert.Equal(t, "(unknown command /help: there are /reset and /quit)", lines[4])
	assert.Contains(t, lines[5], "(data: message contains a tag of the chat format")

	lines, err = tame(t, strings.Repeat("the cat sat on the mat\n", 20), args...)
	require.NoError(t, err)
	assert.Contains(t, lines[len(lines)-1], "(the context of 64 tokens is full")

	// With a system prompt and sampling; the same seed says the same.
	args = []string{"chat", "--model", dir, "--system", "a cat", "--seed", "4", "--temperature", "1.5", "--max-new-tokens", "9"}
	first, err := tame(t, "the dog", args...)
	require.NoError(t, err)
	again, err := tame(t, "the dog", args...)
	require.NoError(t, err)
	assert.Equal(t, first, again)
	_, err = tame(t, "", "chat", "--model", dir, "--temperature", "-1")
	assert.ErrorContains(t, err, "Temperature is -1")
	assert.Equal(t, 64, p.Config().MaxSeqLen)
}

// A model of llama2.c becomes a folder that goes on as well.
func TestConvertLlama2C(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "data", "stories260k")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no ", dir)
	}
	out := filepath.Join(t.TempDir(), "stories")
	mustRun(t, "convert", "model", filepath.Join(dir, "stories260K.bin"), out, "--tokenizer", filepath.Join(dir, "tok512.bin"))
	p, err := model.Load(out)
	require.NoError(t, err)
	assert.Equal(t, 512, p.Config().MaxSeqLen)
	tok, err := tokenizer.Load(filepath.Join(out, tokenizerFile))
	require.NoError(t, err)
	assert.Equal(t, []int32{403, 407, 261, 378}, tok.Encode("Once upon a time"))
}
