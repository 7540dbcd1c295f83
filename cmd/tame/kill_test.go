package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/output"
)

// rlhfArgs are the settings of a quick iteration.
func rlhfArgs(chat, talks, pairs, helpfulness, safety string) []string {
	args := []string{"rlhf"}
	for _, set := range []string{
		"model=" + chat, "helpfulness_prompts=" + talks, "safety_prompts=" + pairs, "data=" + talks, "validation=" + talks, "open=" + pairs,
		"annotator_helpfulness=" + helpfulness, "annotator_safety=" + safety, "versions=2", "pool_from=2", "ppo_from=2", "gatt_from=2",
		"dialogs=" + talks, "instructions=[the dog, a log]", "adversarial=" + pairs, "pre_prompts=[the cat]", "checkpoint_every=1", "part_prompts=8",
		"helpfulness.micro_tokens=256", "helpfulness.micro_segments=16", "helpfulness.batch_size=16", "safety.micro_tokens=256",
		"safety.micro_segments=16", "safety.batch_size=16", "rejection.samples=3", "rejection.max_new_tokens=8", "gatt.max_new_tokens=8",
		"distill.max_new_tokens=8", "ppo.max_new_tokens=8", "fine_tune.micro_tokens=256", "fine_tune.micro_segments=16", "fine_tune.batch_size=16",
		"ppo.iterations=3", "ppo.batch_size=8", "ppo.mini_batch=4", "ppo.micro_tokens=256", "ppo.micro_segments=16", "ppo.eval_every=2",
	} {
		args = append(args, "--set", set)
	}
	return args
}

// What was stopped is not started over by mistake.
func TestStoppedRunsAreNotOverwritten(t *testing.T) {
	out := filepath.Join(t.TempDir(), "chat")
	args := []string{"sft", "--config", yamlFile(t, sftYAML(t)), "--set", "output=" + out}
	require.NoError(t, os.Mkdir(out+".checkpoint", 0o755))
	_, err := tame(t, "", args...)
	assert.ErrorContains(t, err, "resume it with --resume, or delete it to start from scratch")
}

// Two processes do not work on one output. What a killed one leaves does not keep the next one from it.
func TestOneProcessForAnOutput(t *testing.T) {
	o := newOutput(filepath.Join(t.TempDir(), "new", "chat"))
	args := []string{"sft", "--config", yamlFile(t, sftYAML(t)), "--set", "output=" + o.dir}
	set, err := output.New(nil, o.place())
	require.NoError(t, err)
	_, err = tame(t, "", args...)
	require.ErrorContains(t, err, "another process is making "+o.dir)
	set.Close()
	assert.NoFileExists(t, o.dir+".lock")

	require.NoError(t, os.WriteFile(o.dir+".lock", nil, 0o644))
	_, err = tame(t, "", args...)
	require.NoError(t, err)
	assert.NoFileExists(t, o.dir+".lock")
}
