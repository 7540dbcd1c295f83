package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model"
)

// ppoArgs are the settings of a quick run.
func ppoArgs(policy, prompts string) []string {
	return []string{"ppo", "--set", "model=" + policy, "--set", "data=" + prompts, "--set", "iterations=3", "--set", "batch_size=8", "--set", "mini_batch=4",
		"--set", "max_new_tokens=8", "--set", "micro_tokens=256", "--set", "micro_segments=16", "--set", "eval_every=1", "--set", "checkpoint_every=2"}
}

func TestPPO(t *testing.T) {
	chat, pairs := chatModel(t), preferences(t, 20, 20)
	helpfulness, _ := rewardModel(t, chat, pairs, "helpfulness")
	safety, _ := rewardModel(t, chat, pairs, "safety", "--set", "seed=3")
	log, out := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "policy")
	args := append(ppoArgs(chat, pairs), "--set", "helpfulness="+helpfulness)
	text := mustRun(t, append(args, "--set", "safety="+safety, "--set", "held_out=0.3", "--set", "log="+log, "--set", "output="+out)...)
	assert.Regexp(t, `\d+ prompts to train on, \d+ for the evaluation`, text)
	assert.Regexp(t, `3 iterations, 6 optimisation steps; the policy is that of iteration \d, with a score of`, text)
	p, err := model.Load(out)
	require.NoError(t, err)
	assert.False(t, p.HasHead(), "the policy is no reward model")
	raw, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Contains(t, string(raw), `"stage":"ppo","step":3,"total":3`)

	// One reward model, without the gate; the value function on the policy's trunk; prompts of the evaluation from a file.
	out = filepath.Join(t.TempDir(), "policy")
	_, err = tame(t, "", append(args, "--set", "output="+out)...)
	assert.ErrorContains(t, err, "gate is true by default, want false, or both reward models, helpfulness and safety")
	text = mustRun(t, append(args, "--set", "gate=false", "--set", "shared_trunk=true", "--set", "held_out_data="+conversations(t, 5), "--set", "output="+out)...)
	assert.Contains(t, text, "5 for the evaluation")
}

func TestPPOSettings(t *testing.T) {
	text := mustRun(t, "ppo", "--set", "unfinished=fixed", "--set", "kl_control=adaptive", "--print-config")
	assert.Contains(t, text, "One of: penalty, fixed, keep.\nunfinished: fixed\n")
	assert.Contains(t, text, "kl_control: adaptive\n")
	_, err := tame(t, "", "ppo", "--set", "unfinished=drop")
	assert.ErrorContains(t, err, `--set unfinished=drop: unfinished: unknown choice "drop", want penalty, fixed or keep`)
	_, err = tame(t, "", "ppo", "--set", "batch_size=10")
	assert.ErrorContains(t, err, "mini_batch is 64 by default, want a divisor of batch_size")
}
