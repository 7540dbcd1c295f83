package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
)

// rejectArgs are the settings of a quick run.
func rejectArgs(policy, prompts string) []string {
	return []string{"reject", "--set", "model=" + policy, "--set", "data=" + prompts, "--set", "samples=6", "--set", "max_new_tokens=10",
		"--set", "micro_tokens=256", "--set", "micro_segments=16"}
}

// chatModel is fine-tuned until it ends its answers.
func chatModel(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "chat")
	mustRun(t, "sft", "--config", yamlFile(t, sftYAML(t)), "--set", "output="+dir, "--set", "held_out=0", "--set", "epochs=6", "--set", "checkpoint_every=100")
	return dir
}

func TestReject(t *testing.T) {
	chat, pairs := chatModel(t), preferences(t, 40, 40)
	helpfulness, _ := rewardModel(t, chat, pairs, "helpfulness")
	safety, _ := rewardModel(t, chat, pairs, "safety", "--set", "seed=3")
	out := filepath.Join(t.TempDir(), "best")
	args := append(rejectArgs(chat, pairs), "--set", "helpfulness="+helpfulness, "--set", "safety="+safety, "--set", "max_prompts=12")
	text := mustRun(t, append(args, "--set", "output="+out, "--set", "temperatures=[0.5, 1]", "--set", "tune_prompts=4", "--set", "version=1")...)
	assert.Regexp(t, `temperature 0.5 +best answer -?\d`, text)
	assert.Regexp(t, `72 answers to 12 prompts at temperature \S+: reward`, text)

	samples, l, err := data.Read[data.Sample](filepath.Join(out, "samples.arrow"))
	require.NoError(t, err)
	require.Len(t, samples, 72)
	assert.Equal(t, "reject", l.Stage)
	assert.Len(t, l.Ancestors, 4, "chat and its data, both reward models; the preferences name no history")
	winners, _, err := data.Read[data.Sample](filepath.Join(out, "winners.arrow"))
	require.NoError(t, err)
	require.NotEmpty(t, winners)
	highest := map[string]float64{}
	for _, s := range samples {
		require.NotNil(t, s.Helpfulness)
		require.NotNil(t, s.Safety)
		if reward, ok := highest[s.PromptID]; s.Finished && !pipeline.EmptySample(s) && (!ok || *s.Combined > reward) {
			highest[s.PromptID] = *s.Combined
		}
	}
	assert.Len(t, winners, len(highest))
	for _, w := range winners {
		assert.Equal(t, highest[w.PromptID], *w.Combined)
		assert.NotEmpty(t, w.Messages)
	}

	// The winners are what the next model learns from, token by token.
	tuned := filepath.Join(t.TempDir(), "tuned")
	text = mustRun(t, "sft", "--set", "model="+chat, "--set", "data="+filepath.Join(out, "winners.arrow"), "--set", "output="+tuned)
	assert.Contains(t, text, fmt.Sprintf("on %d examples", len(winners)))
	assert.Contains(t, mustRun(t, "lineage", tuned), "winners.arrow  reject\n    ├── chat  (above)")

	// Answers of an earlier version take part in the choice, however the parts are cut.
	second := filepath.Join(t.TempDir(), "second")
	text = mustRun(t, append(args, "--set", "output="+second, "--set", "pool="+filepath.Join(out, "samples.arrow"), "--set", "version=2",
		"--set", "seed=5", "--set", "max_prompts=0", "--set", "checkpoint_every=5")...)
	assert.Contains(t, text, "72 of the 72 answers in the pool are to these prompts")
	winners, _, err = data.Read[data.Sample](filepath.Join(second, "winners.arrow"))
	require.NoError(t, err)
	versions := map[int]int{}
	for _, w := range winners {
		versions[w.Version]++
	}
	assert.Positive(t, versions[1])
	assert.Positive(t, versions[2])
}

func TestRejectNeedsAJudge(t *testing.T) {
	args := append(rejectArgs(policyModel(t), conversations(t, 3)), "--set", "output="+filepath.Join(t.TempDir(), "o"))
	_, err := tame(t, "", args...)
	assert.ErrorContains(t, err, "helpfulness and safety are both empty, want at least one reward model")
	_, err = tame(t, "", append(args, "--set", "helpfulness="+tinyModel(t), "--set", "max_new_tokens=60")...)
	assert.ErrorContains(t, err, "no prompt is left to answer")
	_, err = tame(t, "", append(args, "--set", "temperatures=[1, 0]")...)
	assert.ErrorContains(t, err, "--set temperatures=[1, 0]: temperatures[1] is 0, want a positive number")
	_, err = os.Stat(filepath.Join(t.TempDir(), "o"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// TestRejectWithoutABestAnswer: nothing to train on is no success, and the reason is told.
func TestRejectWithoutABestAnswer(t *testing.T) {
	start, pairs := policyModel(t), preferences(t, 8, 8)
	helpfulness, _ := rewardModel(t, start, pairs, "helpfulness")
	out := filepath.Join(t.TempDir(), "best")
	_, err := tame(t, "", append(rejectArgs(start, pairs), "--set", "helpfulness="+helpfulness, "--set", "output="+out, "--set", "max_prompts=2",
		"--set", "max_new_tokens=1")...)
	assert.ErrorContains(t, err, "no prompt has a best answer, because of 12 answers ")
	assert.ErrorContains(t, err, "raise max_new_tokens (1)")
	assert.NoDirExists(t, out)
	kept := cutOut(t, `the answers are in (\S+): delete it before you start with other settings$`, err.Error())[0]
	assert.Equal(t, out+".checkpoint", kept, "the answers can be looked at")
	require.NoError(t, os.RemoveAll(kept))
	mustRun(t, append(rejectArgs(chatModel(t), pairs), "--set", "helpfulness="+helpfulness, "--set", "output="+out, "--set", "max_prompts=2")...) // 10 tokens
}
