package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// annotators are shell programs that compare answers, and what an error about them has to say. The good ones are empty.
var annotators = map[string]struct {
	script string
	says   string // regular expression
}{
	"good":               {`while read -r line; do echo '{"choice": "first"}'; done`, ""},
	"good-slowly":        {`while read -r line; do sleep 0.02; echo '{"choice": "second"}'; done`, ""},
	"good-stderr-flood":  {`head -c 50000000 /dev/zero | tr '\0' 'x' >&2; while read -r line; do echo '{"choice": "first"}'; done`, ""},
	"good-grandchild":    {`sleep 600 & while read -r line; do echo '{"choice": "first"}'; done`, ""},
	"hangs":              {`sleep 600`, `annotator_seconds|time limit|within|seconds|too long`},
	"hangs-after-one":    {`echo '{"choice": "first"}'; sleep 600`, `annotator_seconds|time limit|within|seconds|too long`},
	"yes":                {`yes '{"choice": "first"}'`, `more lines than|limit|at most`},
	"one-endless-line":   {`cat /dev/zero | tr '\0' 'x'`, `more than \d+ bytes`},
	"garbage":            {`while read -r line; do echo 'no idea'; done`, `line 1`},
	"garbage-after-json": {`while read -r line; do echo '{"choice": "first"} and more'; done`, `line 1`},
	"two-values":         {`while read -r line; do echo '{"choice": "first"}{"choice": "second"}'; done`, `line 1`},
	"too-few":            {`read -r line; echo '{"choice": "first"}'`, `1 .*(of|for|instead|want)|fewer|wrote`},
	"too-many":           {`while read -r line; do echo '{"choice": "first"}'; done; echo '{"choice": "first"}'`, `more`},
	"nothing":            {`cat >/dev/null`, `0 |no (lines|answers|choices)|nothing`},
	"exits-early":        {`exit 3`, `exit status 3|status 3|ended`},
	"exits-with-words":   {`printf 'no \033[31mbudget\007 left\n' >&2; exit 1`, `no .*budget.* left`},
	"unknown-choice":     {`while read -r line; do echo '{"choice": "third"}'; done`, `third`},
	"unknown-key":        {`while read -r line; do echo '{"choise": "first"}'; done`, `choise`},
	"repeated-key":       {`while read -r line; do echo '{"choice": "first", "choice": "second"}'; done`, `line 1|twice|repeated|duplicate`},
	"null":               {`while read -r line; do echo 'null'; done`, `line 1`},
	"invalid-utf8":       {`while read -r line; do printf '{"choice": "first\377"}\n'; done`, `line 1`},
	"missing":            {"", `no such file|not found`},
}

// askAnnotator runs an iteration whose annotator is one of the programs, with a time limit of two seconds where there is such a setting.
func askAnnotator(ctx context.Context, t *try) error {
	a := annotators[t.subject]
	program := filepath.Join(t.dir, "annotator")
	if a.script != "" {
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+a.script+"\n"), 0o755); err != nil {
			return err
		}
	}
	args := append(t.rlhf("annotator_command="+program, "versions=1", "ppo_from=2"), "--set", "output="+stageOutput)
	if t.hasAnnotatorTimeout(ctx) {
		args = append(args, "--set", "annotator_seconds=2")
	}
	mark := fmt.Sprintf("TAME_FAULTS=%s-%d-%d", t.subject, t.number, os.Getpid())
	c := command{dir: t.dir, args: args, env: []string{mark}, limit: 20 * time.Second}
	interrupted := t.number%2 == 1 // Ctrl-C ends it all
	if interrupted {
		c.signal, c.after = syscall.SIGINT, 500*time.Millisecond
	}
	e, err := t.start(ctx, c)
	if err != nil {
		return err
	}
	t.peak = e.peak
	if left := endMarked(mark); left > 0 {
		return failf("%d processes of the annotator are left (%s)", left, e.summary())
	}
	switch {
	case e.broken != nil:
		return failf("%v: %s", e.broken, e.summary())
	case e.peak > 256<<20:
		return failf("took %d MiB: %s", e.peak>>20, e.summary())
	case bytes.ContainsAny([]byte(e.output), "\x1b\x07"):
		return failf("control characters of the annotator reach the terminal")
	case interrupted && e.status == 128+int(syscall.SIGINT):
		t.how = "interrupted"
	case a.says == "" && e.status != 0:
		return failf("a good annotator fails: %s", e.summary())
	case a.says == "":
		t.how = "accepted"
	case e.status == 0:
		return failf("a bad annotator is accepted: %s", e.summary())
	case !regexp.MustCompile(a.says).MatchString(e.output):
		return failf("the error does not say %q: %s", a.says, e.summary())
	default:
		t.how = "refused"
	}
	return nil
}

// hasAnnotatorTimeout says whether the binary knows the setting.
func (t *try) hasAnnotatorTimeout(ctx context.Context) bool {
	e, err := t.start(ctx, command{dir: t.dir, args: []string{"rlhf", "--print-config"}})
	return err == nil && strings.Contains(e.output, "\nannotator_seconds:")
}

// endMarked ends the processes that have a mark in their environment, and counts them. It finds none where there is no /proc.
func endMarked(mark string) (n int) {
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		raw, err := os.ReadFile(filepath.Join(folder, "environ"))
		if err != nil || !slices.Contains(strings.Split(string(raw), "\x00"), mark) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(folder), "%d", &pid); err == nil && unix.Kill(pid, unix.SIGKILL) == nil {
			n++
		}
	}
	return n
}
