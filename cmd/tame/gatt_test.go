package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func TestGAtt(t *testing.T) {
	chat, talks := chatModel(t), conversations(t, 12)
	out := filepath.Join(t.TempDir(), "gatt")
	args := []string{"gatt", "--set", "model=" + chat, "--set", "data=" + talks, "--set", "mix=" + talks, "--set", "max_new_tokens=8",
		"--set", "instructions=[on the mat, on a log]", "--set", "short_instructions=[mat, log]", "--set", "max_dialogs=8", "--set", "checkpoint_every=3",
		"--set", "fine_tune.micro_tokens=256", "--set", "fine_tune.micro_segments=16", "--set", "fine_tune.epochs=1", "--set", "output=" + out}
	text := mustRun(t, args...)
	assert.Regexp(t, `8 dialogues, \d\.\d turns on average, \d examples.*\n1 steps on \d+ examples`, text)
	rows, _, err := data.Read[data.Conversation](filepath.Join(out, "dialogs.arrow"))
	require.NoError(t, err)
	require.NotEmpty(t, rows)
	assert.Regexp(t, "^(on the |on a |)(mat|log) ", rows[0].Messages[0].Content, "the instruction stands in front")
	assert.Contains(t, mustRun(t, "lineage", out), "gatt  gatt\n├── chat  sft")
	again := filepath.Join(t.TempDir(), "gatt")
	mustRun(t, append(args, "--set", "output="+again, "--set", "checkpoint_every=100")...)
	sameFolders(t, out, again)

	_, err = tame(t, "", append(args, "--set", "short_instructions=[mat]", "--set", "fine_tune.epochs=0")...)
	assert.ErrorContains(t, err, "--set short_instructions=[mat]: short_instructions is [mat], want one for each of the 2 instructions")
	assert.ErrorContains(t, err, "--set fine_tune.epochs=0: fine_tune.epochs is 0, want at least 1")
	_, err = tame(t, "", append(args, "--set", "instructions=[]", "--set", "short_instructions=[]", "--set", "output="+out+"2")...)
	assert.ErrorContains(t, err, "--set instructions=[]: instructions is [], want at least one: dialogue 0 has no system message to follow")
}

func TestDistill(t *testing.T) {
	chat, pairs := chatModel(t), preferences(t, 0, 40)
	safety, _ := rewardModel(t, chat, pairs, "safety")
	out := filepath.Join(t.TempDir(), "distilled")
	args := []string{"distill", "--set", "model=" + chat, "--set", "safety=" + safety, "--set", "data=" + pairs, "--set", "max_new_tokens=8",
		"--set", "pre_prompts=[the cat, a cat]", "--set", "max_prompts=20", "--set", "samples=2",
		"--set", "fine_tune.micro_tokens=256", "--set", "fine_tune.micro_segments=16", "--set", "fine_tune.epochs=1", "--set", "output=" + out}
	text := mustRun(t, args...)
	assert.Regexp(t, `40 pairs of answers: safety -?\d\.\d+ without a pre-prompt, -?\d\.\d+ with it; \d+ are kept`, text)
	rows, _, err := data.Read[data.Sample](filepath.Join(out, "samples.arrow"))
	require.NoError(t, err)
	require.NotEmpty(t, rows)
	for _, row := range rows {
		assert.True(t, row.Finished)
		assert.Equal(t, data.User, row.Messages[0].Role, "the bare prompt")
	}
	again := filepath.Join(t.TempDir(), "distilled")
	mustRun(t, append(args, "--set", "output="+again, "--set", "checkpoint_every=3")...)
	sameFolders(t, out, again)
	_, err = tame(t, "", append(args, "--set", "pre_prompts=[]", "--set", "output="+out+"2")...)
	assert.ErrorContains(t, err, "no generic pre-prompts")
}
