package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const source = `package m

func Double(x int) int {
	y := 2 * x
	for x > 1000 {
		x--
	}
	return y
}
`

const tests = `package m

import "testing"

func TestDouble(t *testing.T) {
	if Double(3) != 6 {
		t.Fatal(Double(3))
	}
}

func TestLarge(t *testing.T) {
	if Double(2000) != 4000 {
		t.Fatal(Double(2000))
	}
}
`

// module writes a module of one package and gives a runner for it.
func module(t *testing.T) *runner {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.26\n", "m/m.go": source, "m/m_test.go": tests,
		"other/other_test.go": "package other\n\nimport \"testing\"\n\nfunc TestOther(*testing.T) {}\n",
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return &runner{root: root, timeout: time.Minute}
}

// breakOf makes an entry of the module's list.
func breakOf(line int, old, to string) entry {
	return entry{list: "m", line: line, file: "m/m.go", old: old, new: to, why: "because", packages: []string{"./m"}}
}

func TestTry(t *testing.T) {
	r := module(t)
	ctx := context.Background()

	v, err := r.try(ctx, breakOf(1, "\ty := 2 * x", "\ty := 3 * x"))
	require.NoError(t, err)
	assert.Equal(t, killed, v.outcome)
	assert.Equal(t, "TestDouble", v.by)
	assert.Positive(t, v.took)

	v, err = r.try(ctx, breakOf(2, "\t\tx--", "\t\tx -= 2"))
	require.NoError(t, err)
	assert.Equal(t, survived, v.outcome)

	v, err = r.try(ctx, breakOf(3, "\ty := 2 * x", "\tvar y int; panic(x)"))
	require.NoError(t, err)
	assert.Equal(t, killed, v.outcome)

	_, err = r.try(ctx, breakOf(4, "\ty := 2 * x", "\ty := 2 * z"))
	assert.ErrorContains(t, err, "m:4: does not compile:")
	assert.ErrorContains(t, err, "undefined: z")

	elsewhere := breakOf(4, "\ty := 2 * x", "\ty := 2 * z") // in a package that the tests do not import
	elsewhere.packages = []string{"./other"}
	_, err = r.try(ctx, elsewhere)
	assert.ErrorContains(t, err, "m:4: does not compile:")

	_, err = r.try(ctx, breakOf(5, "\ty := 4 * x", "\ty := 2 * x"))
	assert.ErrorContains(t, err, "m:5: no line of m/m.go")

	none := breakOf(6, "\ty := 2 * x", "\ty := 3 * x")
	none.run = "Nothing"
	_, err = r.try(ctx, none)
	assert.ErrorContains(t, err, "m:6: no test runs")

	r.timeout = 2 * time.Second
	v, err = r.try(ctx, breakOf(7, "\t\tx--", "\t\tx -= 0"))
	require.NoError(t, err)
	assert.Equal(t, timedOut, v.outcome)
	assert.Contains(t, v.String(), "killed by the time limit (test timed out after 2s)")

	text, err := os.ReadFile(filepath.Join(r.root, "m", "m.go"))
	require.NoError(t, err)
	assert.Equal(t, source, string(text), "the tree is not touched")
}

func TestTestsThatFailWithoutABreak(t *testing.T) {
	r := module(t)
	broken := strings.Replace(source, "2 * x", "5 * x", 1)
	require.NoError(t, os.WriteFile(filepath.Join(r.root, "m", "m.go"), []byte(broken), 0o644))
	_, err := r.try(context.Background(), breakOf(1, "\ty := 5 * x", "\ty := 3 * x"))
	assert.ErrorContains(t, err, "m:1: the tests fail without a break:")
	assert.ErrorContains(t, err, "TestDouble")
}

func TestStop(t *testing.T) {
	r := module(t)
	endless := strings.Replace(tests, "func TestLarge", "func TestEndless(t *testing.T) {\n\tselect {}\n}\n\nfunc TestLarge", 1)
	require.NoError(t, os.WriteFile(filepath.Join(r.root, "m", "m_test.go"), []byte(endless), 0o644))
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	start := time.Now()
	_, err := r.try(ctx, breakOf(1, "\ty := 2 * x", "\ty := 3 * x"))
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(start), 20*time.Second)
}

func TestJudge(t *testing.T) {
	for out, want := range map[string]verdict{
		"--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/b (0.00s)\nFAIL\tm\t0.1s\n":             {outcome: killed, by: "TestA"},
		"panic: oh\n\ngoroutine 1 [running]:\nFAIL\tm\t0.1s\n":                                {outcome: killed, by: "a panic (oh)"},
		"fatal error: all goroutines are asleep - deadlock!\nFAIL\tm\t0.1s\n":                 {outcome: killed, by: "a panic (all goroutines are asleep - deadlock!)"},
		"panic: test timed out after 3m0s\n\trunning tests:\n\t\tTestA (3m0s)\nFAIL\tm\t1s\n": {outcome: timedOut, by: "the time limit (test timed out after 3m0s)"},
		"exit status 3\nFAIL\tm/n\t0.1s\n":                                                    {outcome: killed, by: "m/n, whose process failed"},
	} {
		outcome, by, err := judge(out)
		require.NoError(t, err, out)
		assert.Equal(t, want.outcome, outcome, out)
		assert.Equal(t, want.by, by, out)
	}
	_, _, err := judge("# m\nm_test.go:3: undefined: X\nFAIL\tm [build failed]\nFAIL\n")
	assert.ErrorIs(t, err, errNotCompiled)
	_, _, err = judge("go: cannot find module\n")
	assert.ErrorContains(t, err, "without a failing test")
}

func TestTryAll(t *testing.T) {
	r := module(t)
	entries := []entry{
		breakOf(1, "\ty := 2 * x", "\ty := 2 * z"),
		breakOf(2, "\ty := 2 * x", "\ty := x << 2"),
		breakOf(3, "\t\tx--", "\t\tx -= 3"),
	}
	var out bytes.Buffer
	verdicts, err := tryAll(context.Background(), &out, r, entries, 2)
	require.ErrorIs(t, err, errLists)
	assert.ErrorContains(t, err, "1 of 3 entries are wrong")
	require.Len(t, verdicts, 2)
	assert.Equal(t, "m:2", verdicts[0].id())
	assert.Equal(t, killed, verdicts[0].outcome)
	assert.Equal(t, "m:3", verdicts[1].id())
	assert.Contains(t, out.String(), "SURVIVED: because")
	assert.Contains(t, out.String(), "3/3")
	assert.Contains(t, out.String(), "killed by TestDouble")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	verdicts, err = tryAll(ctx, &out, r, entries, 1)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, verdicts)
}

func TestReport(t *testing.T) {
	of := func(list string, outcome outcome, reason string) verdict {
		return verdict{entry: entry{list: list, survives: reason}, outcome: outcome, took: 1500 * time.Millisecond}
	}
	good := []verdict{of("a", killed, ""), of("a", timedOut, ""), of("b", survived, "reason")}
	var out bytes.Buffer
	require.NoError(t, report(&out, good))
	var rows [][]string
	for line := range strings.Lines(out.String()) {
		rows = append(rows, strings.Fields(line))
	}
	assert.Equal(t, [][]string{
		{"list", "tried", "killed", "by", "time", "limit", "survived", "time"},
		{"a", "2", "2", "1", "0", "3s"},
		{"b", "1", "0", "0", "1", "2s"},
		{"all", "3", "2", "1", "1", "5s"},
	}, rows)

	assert.ErrorContains(t, report(&out, append(good, of("b", survived, ""))), "1 of 4 breaks did not end as their list says")
	stale := of("b", killed, "reason")
	assert.ErrorContains(t, report(&out, append(good, stale)), "1 of 4")
	assert.Contains(t, stale.String(), "STALE")
	many := append(good, of("b", survived, "r"), of("b", survived, "r"), of("b", survived, "r"))
	assert.ErrorContains(t, report(&out, many), "4 breaks survive, at most 3 may")
}
