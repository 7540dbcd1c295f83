package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// short is what the test tries of the suite: each fault on a few subjects, once or a few times.
const short = `^kills/(pretrain|sft|reward|reject|ppo|rlhf|convert-model-hf|data-split|tokenizer-convert)$` +
	`|^together/(convert-data-arrow|convert-model-hf)$` +
	`|^stops/(sft|ppo|rlhf)$` +
	`|^disk/(sft|data-split|tokenizer-convert)$` +
	`|^annotators/(hangs|yes|garbage-after-json|exits-with-words|good-grandchild|repeated-key)$` +
	`|^(flips|cuts)/(sft|ppo)$` +
	`|^(flips-of-results)/(model-folder|arrow-zstd|parquet)$` +
	`|^numbers/(arrow-zstd|parquet|gguf|tokenizer|meta)$` +
	`|^hostile/(deep.json|one-line.jsonl.gz|columns.csv|line-long|bomb.yaml|config-num_hidden_layers=1e18|gguf-text-length|pth-executes|generate-n)$`

// The short form of the suite. docs/reliability.md has the figures of the long one.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("starts several hundred processes")
	}
	var out strings.Builder
	s, done, err := newSuite(t.Context(), options{
		Seed: 1, Kills: 1, Stops: 2, Flips: 7, Cuts: 3, Levels: 2, Numbers: 3, Scale: 0.05, Try: -1, Workers: 2, Only: regexp.MustCompile(short), Out: &out,
	})
	require.NoError(t, err)
	t.Cleanup(done)
	r := &report{out: &out}
	require.NoError(t, s.tryAll(t.Context(), r))
	r.print()
	t.Log("\n" + out.String())
	for _, row := range r.rows {
		t.Run(row.fault+"/"+row.subject, func(t *testing.T) {
			if row.why != "" {
				t.Skip(row.why)
			}
			assert.Positive(t, row.tried)
			assert.Zero(t, row.failed, "of %d tries", row.tried)
		})
	}
}

// fake is a suite with a shell script in the place of tame.
func fake(t *testing.T, script string) *try {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "tame")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	s := &suite{options: options{Seed: 1, Binary: binary, Out: io.Discard, Only: regexp.MustCompile(""), Try: -1, Scale: 0.001}, dir: dir, inputs: dir,
		refs: map[string]*reference{}, corrupt: map[string]*checkpoint{}}
	s.stages, s.tools = s.stageSubjects(), s.toolSubjects()
	work := filepath.Join(dir, "work")
	require.NoError(t, os.Mkdir(work, 0o755))
	return &try{suite: s, fault: "f", subject: "sft", dir: work}
}

// Every promise that a program breaks is a failure.
func TestProcessesAreHeldToThePromises(t *testing.T) {
	for script, want := range map[string]string{
		"echo 'panic: index out of range' >&2; exit 2":           "crashed: status 2: panic: index",
		"echo 'fatal error: runtime: out of memory' >&2; exit 2": "crashed",
		"echo 'a row says panic: no'":                            "",
		"exec sleep 60":                                          "does not end within 300ms",
		"trap '' TERM; sleep 60 & wait; sleep 60":                "does not end within 300ms",
	} {
		e, err := fake(t, script).start(t.Context(), command{dir: t.TempDir(), limit: 300 * time.Millisecond})
		require.NoError(t, err)
		if want == "" {
			assert.NoError(t, e.broken, script)
		} else {
			assert.ErrorContains(t, e.broken, want, script)
		}
	}
	e, err := fake(t, "exec sleep 60").start(t.Context(), command{dir: t.TempDir(), signal: syscall.SIGTERM, after: 10 * time.Millisecond})
	require.NoError(t, err)
	assert.Equal(t, 143, e.status)
	assert.True(t, e.signaled)
	assert.Positive(t, e.peak)
}

// What a run leaves is compared file by file, and what a tool leaves half-made is found.
func TestFilesAreCompared(t *testing.T) {
	for name, c := range map[string]struct {
		try    func(ctx context.Context, t *try) error
		script string // of a stage that makes out, and log.jsonl, or of a tool
		want   string
	}{
		"good":          {flipCheckpoint, stageScript("mkdir -p out; echo whole > out/model"), ""},
		"silent":        {flipCheckpoint, stageScript("mkdir -p out; cat out.checkpoint/state > out/model 2>/dev/null || echo whole > out/model"), "is not seen"},
		"left over":     {flipCheckpoint, stageScript("mkdir -p out; echo whole > out/model; [ -e out.checkpoint ] && touch scrap"), "scrap is left over"},
		"not named":     {flipCheckpoint, stageScript("[ -e out.checkpoint ] && { echo damaged; exit 1; }; mkdir out; echo whole > out/model"), "does not name the file"},
		"refused":       {flipCheckpoint, stageScript("[ -e out.checkpoint ] && { echo out.checkpoint/state: damaged; exit 1; }; mkdir out; echo whole > out/model"), ""},
		"no checkpoint": {stopStage, `case "$*" in *1000000*--resume*) trap 'exit 143' TERM; echo '{"step":1}' > log.jsonl; sleep 1 & wait;; *) sleep 0.3; mkdir -p out; echo x > out/model; echo '{"step":1}' > log.jsonl;; esac`, "nothing is saved"},
	} {
		t.Run(name, func(t *testing.T) {
			f := fake(t, c.script)
			f.rng = newRand(1, name)
			err := c.try(t.Context(), f)
			if c.want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.want)
			}
		})
	}
}

// stageScript is a stage that can be stopped while it makes its output, with a checkpoint of one file, which the output does not depend on.
func stageScript(finish string) string {
	return `
case "$*" in *1000000*) exit 0;; esac
if [ ! -e out.checkpoint ]; then
	if [ "$(basename "$(dirname "$PWD")")" = checkpoint ]; then
		mkdir out.checkpoint
		echo whole > out.checkpoint/state
		echo '{"step":1}' > log.jsonl
		exec sleep 60
	fi
	echo '{"step":1}' > log.jsonl
fi
` + finish + `
rm -rf out.checkpoint`
}

// A fault that came after the end is no try: it is made again, earlier and in an empty folder, and given up in the end.
func TestTooLateIsTriedAgain(t *testing.T) {
	for _, late := range []int{0, 2, 100} {
		f := fake(t, "")
		f.rng = newRand(1, "")
		tries, before := 0, time.Hour
		require.NoError(t, f.until(t.Context(), func(_ context.Context, f *try) error {
			left, err := os.ReadDir(f.dir)
			require.NoError(t, err)
			assert.Empty(t, left)
			require.NoError(t, os.WriteFile(filepath.Join(f.dir, "x"), nil, 0o644))
			assert.LessOrEqual(t, f.moment(time.Hour), before)
			before /= 2
			if f.how = "killed"; tries < late {
				f.how = tooLate
			}
			tries++
			return nil
		}))
		assert.Equal(t, min(late+1, 6), tries)
		assert.Equal(t, late == 100, f.how == tooLate)
	}
}

func TestTreesDiffer(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("out/a", "1")
	write("log.jsonl", `{"time":"x","step":1,"metrics":{"loss":2,"timing_s/total":3}}`+"\n")
	want, err := readTree(dir)
	require.NoError(t, err)
	write("log.jsonl", `{"time":"y","step":1,"metrics":{"loss":2,"timing_s/total":4}}`+"\n")
	got, err := readTree(dir)
	require.NoError(t, err)
	assert.Empty(t, want.differs(got), "times aside")
	assert.Len(t, want.under("out"), 2)

	write("log.jsonl", `{"time":"y","step":1,"metrics":{"loss":3}}`+"\n")
	write("out/b", "")
	require.NoError(t, os.Remove(filepath.Join(dir, "out/a")))
	got, err = readTree(dir)
	require.NoError(t, err)
	assert.Regexp(t, `(?s)log\.jsonl differs.*out/a is missing.*out/b is left over`, want.differs(got))
	assert.Empty(t, want.under("nothing"))
}

func TestRefusalsNameTheFile(t *testing.T) {
	for output, want := range map[string]bool{
		"tame: out.checkpoint/trainer/state.json: damaged": true, "state.json does not match": true, `"state.json"`: true,
		"out.checkpoint belongs to another run": false, "instate.json": false, "state.jsonl": false,
	} {
		assert.Equal(t, want, namesFile(output, "out.checkpoint/trainer/state.json"), output)
	}
}
