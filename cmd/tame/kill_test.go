package main

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/output"
)

// kills is how often TestKilledRunsEndInTheSameBytes kills each stage: go test ./cmd/tame -run Killed -kills 50 -timeout 60m.
// Once is enough from day to day. pkg/pipeline has a test that stops the iteration at each of its events.
var kills = flag.Int("kills", 1, "number of random moments at which each stage is killed")

// Every stage is killed at random moments, while it saves too, and started again by the same command. It ends in the bytes of a run that
// was left alone: models, datasets, evaluations and lineage.
func TestKilledRunsEndInTheSameBytes(t *testing.T) {
	chat, talks, pairs := chatModel(t), conversations(t, 40), preferences(t, 40, 40)
	helpfulness, _ := rewardModel(t, chat, pairs, "helpfulness")
	safety, _ := rewardModel(t, chat, pairs, "safety", "--set", "seed=3")
	for name, args := range map[string][]string{
		"sft": {"sft", "--config", yamlFile(t, sftYAML(t)), "--set", "epochs=6"},
		"reward": {"reward", "--set", "model=" + chat, "--set", "data=" + pairs, "--set", "kind=safety", "--set", "epochs=3", "--set", "checkpoint_every=1",
			"--set", "batch_size=8", "--set", "micro_tokens=256", "--set", "micro_segments=16"},
		"reject": append(rejectArgs(chat, talks), "--set", "helpfulness="+helpfulness, "--set", "safety="+safety, "--set", "checkpoint_every=2"),
		"ppo": append(ppoArgs(chat, talks), "--set", "helpfulness="+helpfulness, "--set", "safety="+safety, "--set", "iterations=8",
			"--set", "checkpoint_every=1"),
		"rlhf": rlhfArgs(chat, talks, pairs, helpfulness, safety),
	} {
		t.Run(name, func(t *testing.T) { killAndCompare(t, args) })
	}
}

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

// killAndCompare runs a command whole, then again and again with kills at random moments, and compares what it ends in.
func killAndCompare(t *testing.T, args []string) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	begin := time.Now()
	out, err := process(append(args, "--set", "output="+whole)...).CombinedOutput()
	took := time.Since(begin)
	require.NoError(t, err, string(out))

	rng := rand.New(rand.NewPCG(7, uint64(len(args))))
	broken := filepath.Join(dir, "broken")
	args = append(args, "--set", "output="+broken)
	killed, ended := 0, 0
	for killed < *kills || ended == 0 {
		cmd := process(append(args, "--resume")...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		moment := time.Duration(rng.Float64() * float64(took))
		if killed >= *kills {
			moment = time.Hour
		}
		timer := time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if err != nil {
			require.Contains(t, err.Error(), "killed", out.String())
			killed++
			continue
		}
		ended++
		sameFolders(t, whole, broken)
		assert.NoDirExists(t, broken+".checkpoint")
		require.NoError(t, os.RemoveAll(broken))
	}
	t.Logf("killed %d times, ended %d times; a whole run takes %v", killed, ended, took.Round(time.Millisecond))
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
