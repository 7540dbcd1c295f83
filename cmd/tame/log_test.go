package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/train"
)

// linesOf are the lines of a log.
func linesOf(t *testing.T, path string) (lines []logLine) {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	for text := range strings.Lines(string(raw)) {
		var line logLine
		require.NoError(t, json.Unmarshal([]byte(text), &line), text)
		lines = append(lines, line)
	}
	return lines
}

// steps wants a log with n steps of one stage, each once and in order.
func steps(t *testing.T, path string, n int) {
	t.Helper()
	lines := linesOf(t, path)
	require.Len(t, lines, n)
	for i, line := range lines {
		require.Equal(t, i+1, line.Step)
	}
}

// loggingRun is a run of that seed, with a log.
func loggingRun(t *testing.T, path string, seed uint64, resume bool) (*stepLog, error) {
	t.Helper()
	r := &stageRun{lineage: data.Lineage{Stage: "rlhf", Seed: seed}, console: console.New(os.Stderr)}
	return r.openLog(path, resume, func(err error) { t.Error(err) })
}

// All stages of an iteration count their steps from 1. A run that resumes replaces the lines of its stage alone.
func TestLogIsKeptByStageAndStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write := func(resume bool, infos ...train.StepInfo) {
		t.Helper()
		log, err := loggingRun(t, path, 1, resume)
		require.NoError(t, err)
		for _, info := range infos {
			log.write(info)
		}
		log.close()
	}
	at := func(stage string, step int) train.StepInfo {
		return train.StepInfo{Stage: stage, Step: step, Total: 3, Metrics: map[string]float64{"loss": float64(step)}}
	}
	write(false, at("reward", 1), at("reward", 2), at("reward", 3), at("sft", 1), at("sft", 2))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(raw, `{"time":"20`...), 0o644), "killed while it wrote a line")
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), ".log.unfinished"), raw, 0o644), "killed while it cut lines")

	write(true) // killed before its first step
	assert.Len(t, linesOf(t, path), 5)
	write(true, at("sft", 2), at("sft", 3), at("ppo", 1))
	want := ""
	for _, line := range linesOf(t, path) {
		want += fmt.Sprintln(line.Stage, line.Step)
	}
	assert.Equal(t, "reward 1\nreward 2\nreward 3\nsft 1\nsft 2\nsft 3\nppo 1\n", want)
	assert.Equal(t, []string{"log"}, entries(t, filepath.Dir(path)))
}

// A log belongs to its run: that of another run, or any other file, is refused and stays as it is.
func TestLogOfAnotherRun(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	log, err := loggingRun(t, path, 1, false)
	require.NoError(t, err)
	_, err = loggingRun(t, path, 1, true)
	require.ErrorContains(t, err, "another process is writing "+path)
	another, err := loggingRun(t, filepath.Join(dir, "another"), 1, true)
	require.NoError(t, err, "the error says: give another file")
	another.close()
	log.write(train.StepInfo{Stage: "rlhf", Step: 1})
	log.close()
	again, err := loggingRun(t, path, 1, true)
	require.NoError(t, err, "the error says: wait for it")
	again.close()
	_, err = loggingRun(t, path, 1, false)
	require.EqualError(t, err, path+" already exists: delete it, or give another file")
	_, err = loggingRun(t, path, 2, true)
	require.ErrorContains(t, err, path+":1 belongs to another run")
	for _, text := range []string{"model: m\n", "{}\n", "no line break", `{"stage":"sft","step":1}` + "\n"} {
		other := filepath.Join(dir, "other")
		require.NoError(t, os.WriteFile(other, []byte(text), 0o644))
		_, err = loggingRun(t, other, 1, true)
		require.ErrorContains(t, err, other+":1 ", text)
		raw, err := os.ReadFile(other)
		require.NoError(t, err)
		assert.Equal(t, text, string(raw))
	}

	// A run that ends before its first step leaves no log.
	log, err = loggingRun(t, filepath.Join(dir, "empty"), 1, false)
	require.NoError(t, err)
	log.close()
	assert.NoFileExists(t, filepath.Join(dir, "empty"))
}
