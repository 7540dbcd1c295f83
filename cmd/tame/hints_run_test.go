package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/memory"
	"github.com/tame-rlhf/tame/pkg/data"
)

// cutOut is the first group of a pattern in a message, as words of a shell.
func cutOut(t *testing.T, pattern, message string) []string {
	t.Helper()
	found := regexp.MustCompile("(?m)" + pattern).FindStringSubmatch(message)
	require.Len(t, found, 2, message)
	return shellWords(found[1])
}

// The commands with which a stopped run, and one whose disk is full, go on.
func TestResumeHintsWork(t *testing.T) {
	config, dir := yamlFile(t, sftYAML(t)), t.TempDir()
	out, log := filepath.Join(dir, "it's a chat"), filepath.Join(dir, "log")
	cmd := process("sft", "--config", config, "--set", "output="+out, "--set", "epochs=200", "--set", "checkpoint_every=1000", "--set", "log="+log)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return fileSize(log) > 0 }, 20*time.Second, time.Millisecond)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	mustRun(t, cutOut(t, `stopped; go on with: tame (.*)$`, stderr.String())...)
	assert.FileExists(t, filepath.Join(out, "model.safetensors"))

	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	out, log = filepath.Join(dir, "second"), filepath.Join(dir, "full")
	require.NoError(t, os.Symlink("/dev/full", log))
	_, err := tame(t, "", "sft", "--config", config, "--set", "output="+out, "--set", "checkpoint_every=1000", "--set", "log="+log)
	require.ErrorContains(t, err, "no space left on device")
	words := cutOut(t, `is kept; resume it with: tame (.*)$`, err.Error())
	require.NoError(t, os.Remove(log)) // now there is space
	mustRun(t, words...)
	assert.FileExists(t, filepath.Join(out, "model.safetensors"))
	assert.Positive(t, fileSize(log))
}

// The setting and the flag that take Llama 2's chat format in place of a template that cannot be used.
func TestTemplateHintWorks(t *testing.T) {
	chat, talks := chatModel(t), conversations(t, 8)
	require.NoError(t, os.WriteFile(filepath.Join(chat, "chat_template.jinja"), []byte("{% if %}"), 0o600))
	if err := os.Remove(filepath.Join(chat, "SHA256SUMS")); err != nil {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	const line = `{"messages": [{"role": "user", "content": "the cat"}]}`
	lines, err := tame(t, line, "generate", "--model", chat)
	require.Error(t, err)
	flag := cutOut(t, `say template llama2 \((--template \S+);`, strings.Join(lines, "\n"))
	lines, err = tame(t, line, append([]string{"generate", "--model", chat, "--max-new-tokens", "4"}, flag...)...)
	require.NoError(t, err, lines)

	args := []string{"sft", "--set", "model=" + chat, "--set", "data=" + talks, "--set", "epochs=1", "--set", "batch_size=4", "--set", "micro_tokens=256",
		"--set", "micro_segments=8", "--set", "output=" + filepath.Join(t.TempDir(), "o")}
	_, err = tame(t, "", args...)
	require.Error(t, err)
	found := regexp.MustCompile(`in a configuration (template): (\w+)\)`).FindStringSubmatch(err.Error())
	require.Len(t, found, 3, err)
	mustRun(t, append(args, "--set", found[1]+"="+found[2])...)
	lines, err = tame(t, line, "tokenize", "--tokenizer", chat)
	require.Error(t, err, lines)
	lines, err = tame(t, line, append([]string{"tokenize", "--tokenizer", chat}, flag...)...)
	assert.NoError(t, err, lines)
}

// Where no row comes to be held out, rows of their own or another seed give some.
func TestHeldOutHintWorks(t *testing.T) {
	chat, talks := chatModel(t), conversations(t, 4)
	run := func(sets ...string) string {
		args := []string{"sft", "--set", "model=" + chat, "--set", "data=" + talks, "--set", "epochs=1", "--set", "batch_size=2", "--set", "micro_tokens=256",
			"--set", "micro_segments=8", "--set", "held_out=0.3", "--set", "output=" + filepath.Join(t.TempDir(), "o")}
		for _, set := range sets {
			args = append(args, "--set", set)
		}
		return mustRun(t, args...)
	}
	const hint = "give held_out_data, or another split_seed"
	var with, without []int // seeds
	for seed := 1; seed < 40 && (len(with) == 0 || len(without) == 0); seed++ {
		if strings.Contains(run("split_seed="+strconv.Itoa(seed)), hint) {
			without = append(without, seed)
		} else {
			with = append(with, seed)
		}
	}
	require.NotEmpty(t, without, "seeds with the warning")
	require.NotEmpty(t, with, "another split_seed helps")
	assert.NotContains(t, run("held_out=0", "held_out_data="+conversations(t, 3)), hint)
}

// The settings that the message names make the model smaller.
func TestShapeHintWorks(t *testing.T) {
	shape := pretrainStage().defaults().Shape
	shape.VocabSize = 290
	limit := memory.Limit{Bytes: 1 << 30, Of: "this machine"}
	err := checkMemory(shape, limit)
	require.Error(t, err)
	names := cutOut(t, `set a smaller shape \((.*)\)$`, err.Error())
	require.Equal(t, []string{"shape.dim,", "shape.num_layers,", "shape.hidden_dim"}, names)
	args := []string{"pretrain", "--set", "data=" + file(t, "in.txt", strings.Repeat("the cat sat on the mat\n<|endoftext|>\n", 20)), "--set", "tokenizer=" + filepath.Join(policyModel(t), tokenizerFile),
		"--set", "batch_tokens=64", "--set", "micro_tokens=64", "--set", "micro_segments=4", "--set", "steps=2", "--set", "output=" + filepath.Join(t.TempDir(), "o")}
	for i, value := range []string{"16", "1", "32"} {
		args = append(args, "--set", strings.TrimSuffix(names[i], ",")+"="+value)
	}
	mustRun(t, append(args, "--set", "shape.num_heads=2", "--set", "shape.num_kv_heads=1", "--set", "shape.head_dim=8")...)
	shape.Dim, shape.NumLayers, shape.HiddenDim = 16, 1, 32
	assert.NoError(t, checkMemory(shape, limit))
}

// The example of verify's help is run on files of those names.
func TestVerifyExample(t *testing.T) {
	t.Chdir(hintFolder(t))
	require.NoError(t, os.Rename("judge", "reward"))
	mustRun(t, "convert", "model", languageModel(t), "base.gguf")
	_, err := tame(t, "", "sft", "--config", "sft.yaml", "--set", "output=ppo", "--set", "checkpoint_every=1000", "--set", "log=/dev/full")
	require.ErrorContains(t, err, "ppo.checkpoint is kept")
	root := rootCommand()
	verify, _, err := root.Find([]string{"verify"})
	require.NoError(t, err)
	mustRun(t, cutOut(t, `^  tame (verify .*)$`, verify.Example)...)
}

// A damaged model that was changed on purpose is used again when the file is deleted that the error names.
func TestDeletedSumsAreTheWayOut(t *testing.T) {
	chat, talks := filepath.Join(t.TempDir(), "chat"), conversations(t, 8)
	mustRun(t, "convert", "model", chatModel(t), chat)
	flip(t, filepath.Join(chat, "model.safetensors"))
	args := []string{"sft", "--set", "model=" + chat, "--set", "data=" + talks, "--set", "epochs=1", "--set", "batch_size=4", "--set", "micro_tokens=256",
		"--set", "micro_segments=8", "--set", "output=" + filepath.Join(t.TempDir(), "o")}
	_, err := tame(t, "", args...)
	require.ErrorContains(t, err, "has other bytes")
	require.NoError(t, os.Remove(cutOut(t, `on purpose, delete (.*)$`, err.Error())[0]))
	_, err = data.Fingerprint(t.Context(), chat)
	require.NoError(t, err)
	mustRun(t, args...)
}
