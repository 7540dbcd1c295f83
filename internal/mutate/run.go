package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// outcome is what the tests said of a break.
type outcome int

const (
	survived outcome = iota
	killed
	timedOut // killed by the time limit
)

// verdict is what became of an entry.
type verdict struct {
	entry
	outcome outcome
	by      string // the test that failed, or how the run ended
	took    time.Duration
}

// bad says that the check fails for this entry alone.
func (v verdict) bad() bool { return (v.outcome == survived) != (v.survives != "") }

// String is the line for people.
func (v verdict) String() string {
	var what string
	switch {
	case v.outcome == survived && v.survives != "":
		what = "survives as said: " + v.survives
	case v.outcome == survived:
		what = "SURVIVED: " + v.why
	default:
		what = "killed by " + v.by
		if v.survives != "" {
			what = "STALE: the list says that it survives, but it is " + what
		}
	}
	return fmt.Sprintf("%-16s %6.1fs  %s  %s", v.id(), v.took.Seconds(), v.file, what)
}

// runner runs the tests of a module.
type runner struct {
	root    string        // folder of go.mod
	timeout time.Duration // for the tests of one package

	unbroken sync.Map // of the arguments of a test on the code as it is: a func() error that runs it once
}

// try breaks the code and runs the tests. An error says that the entry cannot be tried: its line is
// not there, the break does not compile, the tests fail without it, or the context has ended.
func (r *runner) try(ctx context.Context, e entry) (verdict, error) {
	start := time.Now()
	if err := r.check(ctx, e); err != nil {
		return verdict{}, err
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return verdict{}, err
	}
	defer os.RemoveAll(dir)
	overlay, err := r.overlay(dir, e)
	if err != nil {
		return verdict{}, err
	}
	out, err := r.goCommand(ctx, r.test(e, "-count=1", "-failfast", "-overlay", overlay)...)
	if ctx.Err() != nil {
		return verdict{}, ctx.Err()
	}
	v := verdict{entry: e, took: time.Since(start)}
	if err == nil {
		return v, r.compiles(ctx, e, overlay)
	}
	if v.outcome, v.by, err = judge(out); err != nil {
		return verdict{}, r.failure(ctx, e, err.Error(), out)
	}
	return v, nil
}

// compiles makes sure that a break that survived was compiled: tests that do not import its file's
// package never read it.
func (r *runner) compiles(ctx context.Context, e entry, overlay string) error {
	out, err := r.goCommand(ctx, "build", "-o", os.DevNull, "-overlay", overlay, "./"+path.Dir(e.file))
	if err != nil {
		return r.failure(ctx, e, errNotCompiled.Error(), out)
	}
	return nil
}

// check runs an entry's tests on the code as it is, once for all entries that share them. Without
// it tests that always fail would kill everything.
func (r *runner) check(ctx context.Context, e entry) error {
	args := r.test(e)
	once, _ := r.unbroken.LoadOrStore(strings.Join(args, " "), sync.OnceValue(func() error {
		out, err := r.goCommand(ctx, args...)
		switch {
		case err != nil:
			return r.failure(ctx, e, "the tests fail without a break", out)
		case noTests(out):
			return r.failure(ctx, e, "no test runs", out)
		}
		return nil
	}))
	return once.(func() error)()
}

// noTests says that a successful run had nothing to run.
func noTests(out string) bool {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return !slices.ContainsFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "ok") && !strings.Contains(line, "[no tests to run]")
	})
}

// test gives the arguments of the go command for an entry's tests. Vet is off: a finding of vet is
// no failing test.
func (r *runner) test(e entry, flags ...string) []string {
	args := append([]string{"test", "-vet=off", "-ldflags=-w", "-timeout", r.timeout.String()}, flags...)
	if e.run != "" {
		args = append(args, "-run", e.run)
	}
	return append(args, e.packages...)
}

// overlay writes the broken file and the description that the go command's -overlay reads, and
// gives the path of the latter.
func (r *runner) overlay(dir string, e entry) (string, error) {
	source := filepath.Join(r.root, filepath.FromSlash(e.file))
	text, err := os.ReadFile(source)
	if err != nil {
		return "", fmt.Errorf("%s: %w", e.id(), err)
	}
	broken, err := e.apply(string(text))
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, filepath.Base(source))
	if err := os.WriteFile(file, []byte(broken), 0o644); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {source: file}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, replace, 0o644)
}

// stopDelay is how long a stopped go command may take to remove its temporary files.
const stopDelay = 5 * time.Second

// goCommand gives what the go command prints on both outputs.
func (r *runner) goCommand(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = r.root, &out, &out, stopDelay
	stopAsGroup(cmd)
	err := cmd.Run()
	return out.String(), err
}

// shown is how many lines of the go command an error quotes.
const shown = 12

func (r *runner) failure(ctx context.Context, e entry, what, out string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return fmt.Errorf("%s: %s:\n\t%s", e.id(), what, strings.Join(lines[:min(len(lines), shown)], "\n\t"))
}

var (
	failedTest  = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
	notBuilt    = regexp.MustCompile(`(?m)^FAIL\s.*\[(build|setup) failed\]$`)
	timeoutLine = regexp.MustCompile(`(?m)^panic: (test timed out after .*)$`)
	panicLine   = regexp.MustCompile(`(?m)^(?:panic|fatal error): (.*)$`)
	failedLine  = regexp.MustCompile(`(?m)^FAIL\s+(\S+)`)
)

var errNotCompiled = errors.New("does not compile")

// judge reads the output of a go test that has failed.
func judge(out string) (outcome, string, error) {
	switch {
	case notBuilt.MatchString(out):
		return 0, "", errNotCompiled
	case timeoutLine.MatchString(out):
		return timedOut, "the time limit (" + timeoutLine.FindStringSubmatch(out)[1] + ")", nil
	case failedTest.MatchString(out):
		return killed, failedTest.FindStringSubmatch(out)[1], nil
	case panicLine.MatchString(out):
		return killed, "a panic (" + panicLine.FindStringSubmatch(out)[1] + ")", nil
	case failedLine.MatchString(out):
		return killed, failedLine.FindStringSubmatch(out)[1] + ", whose process failed", nil
	}
	return 0, "", errors.New("the go command fails without a failing test")
}
