//go:build unix

package pipeline

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

var two = []Comparison{{First: "x", Second: "y"}, {First: "z", Second: "w"}}

// ask gives a shell script half a second for each of two comparisons.
func ask(ctx context.Context, script string) ([]*data.Preference, error) {
	return AskCommand([]string{"sh", "-c", script}, 500*time.Millisecond)(ctx, two)
}

// askLong gives a shell script a minute.
func askLong(ctx context.Context, script string) ([]*data.Preference, error) {
	return AskCommand([]string{"sh", "-c", script}, time.Minute)(ctx, two)
}

const bothFirst = `echo '{"choice": "first"}'; echo '{"choice": "first"}'`

// TestHostilePrograms: whatever a program does, it ends soon, in bounded memory, with the true reason.
func TestHostilePrograms(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"hangs":                  {`echo "waiting for a judge" >&2; sleep 600`, "within 1s, its time limit; its standard error: waiting for a judge"},
		"hangs, deaf":            {`trap '' TERM INT HUP; while :; do sleep 1; done`, "within 1s, its time limit"},
		"one line without end":   {`yes | tr -d '\n'`, "more than 65536 bytes"},
		"lines without end":      {`yes '{"choice": "first"}'`, "more lines than the 2"},
		"two values on a line":   {`echo '{"choice": "first"} {"choice": "second"}'; ` + bothFirst, "there is more after the JSON value"},
		"text after the value":   {`echo '{"choice": "first"} because'; ` + bothFirst, "there is more after the JSON value"},
		"a key twice":            {`echo '{"choice": "first", "choice": "second"}'; ` + bothFirst, `"choice" is there twice`},
		"a key in capitals":      {`echo '{"Choice": "first"}'; ` + bothFirst, `keys are taken by their exact case, want "choice"`},
		"no value":               {`echo; ` + bothFirst, `line 1 of its output: "": no JSON: it is empty`},
		"too few lines":          {`echo '{"choice": "first"}'`, "it wrote 1 lines for 2 comparisons"},
		"dies":                   {bothFirst + `; echo "out of tokens" >&2; exit 3`, "exit status 3; its standard error: out of tokens"},
		"a grandchild that dies": {`(sleep 600) & ` + bothFirst + `; exit 3`, "exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := ask(t.Context(), c.script)
			assert.ErrorContains(t, err, c.want)
			assert.Less(t, time.Since(start), 30*time.Second)
		})
	}
}

// TestLongStandardError keeps its end.
func TestLongStandardError(t *testing.T) {
	_, err := ask(t.Context(), `head -c 3000000 /dev/zero | tr '\0' x >&2; echo the end >&2; exit 1`)
	assert.ErrorContains(t, err, "the last 4096 of 3000008 bytes of its standard error: xxx")
	assert.True(t, strings.HasSuffix(err.Error(), "xthe end"))
	assert.Less(t, len(err.Error()), 5000)
}

// TestGrandchildren: one that keeps the pipe is no reason to wait, and none is left behind.
func TestGrandchildren(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	quickest := time.Hour
	for range 3 { // one of them is quick on a busy machine too
		start := time.Now()
		said, err := askLong(t.Context(), `sleep 600 & echo $! > `+pid+`; `+bothFirst)
		require.NoError(t, err)
		assert.Len(t, said, 2)
		quickest = min(quickest, time.Since(start))
		assertEnded(t, pid)
	}
	assert.Less(t, quickest, waitForPipes, "all answers are there")
}

// TestGrandchildThatAnswers: what a filter of the program's output writes after the program has ended counts.
func TestGrandchildThatAnswers(t *testing.T) {
	said, err := askLong(t.Context(), `(sleep 0.2; `+bothFirst+`) &`)
	require.NoError(t, err)
	assert.Len(t, said, 2)
}

// TestGrandchildOutsideOfTheGroup: it cannot be killed with the others, and is not waited for any longer than a moment.
func TestGrandchildOutsideOfTheGroup(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("no setsid here")
	}
	pid := filepath.Join(t.TempDir(), "pid")
	start := time.Now()
	said, err := askLong(t.Context(), `setsid sh -c 'echo $$ > `+pid+`; exec sleep 60' & while [ ! -s `+pid+` ]; do sleep 0.01; done; `+bothFirst)
	require.NoError(t, err)
	assert.Len(t, said, 2)
	assert.Less(t, time.Since(start), 30*time.Second)
	raw, err := os.ReadFile(pid)
	require.NoError(t, err)
	process, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	require.NoError(t, err)
	assert.NoError(t, syscall.Kill(process, syscall.SIGKILL))
}

// TestStopsProgram: Ctrl-C ends the program and what it started.
func TestStopsProgram(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	_, err := AskCommand([]string{"sh", "-c", `sh -c 'sleep 600' & echo $! > ` + pid + `; wait`}, time.Hour)(ctx, two)
	assert.ErrorIs(t, err, context.Canceled)
	assertEnded(t, pid)
}

func assertEnded(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	require.NoError(t, err)
	assert.Eventually(t, func() bool {
		state, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return syscall.Kill(pid, 0) != nil || bytes.Contains(state, []byte(") Z ")) // a zombie has ended
	}, 10*time.Second, 10*time.Millisecond)
}

// FuzzAnnotatorProtocol: any output gives a preference for each line that is right, or an error.
func FuzzAnnotatorProtocol(f *testing.F) {
	f.Add([]byte("{\"choice\": \"first\"}\n{\"choice\": \"none\"}\n"), 7)
	f.Add([]byte("{\"choice\": \"second\", \"rating\": \"better\", \"first_safe\": \"safe\"} x\r\n\n"), 1)
	f.Fuzz(func(t *testing.T, output []byte, size int) {
		var said []*data.Preference
		w := &lineWriter{fail: func(error) {}, onLine: func(line []byte) (last bool, err error) {
			p, err := two[0].preference(line)
			if err == nil && p != nil && (p.Chosen == p.Rejected || p.Chosen != "x" && p.Chosen != "y") {
				t.Fatalf("%q chooses %q over %q", line, p.Chosen, p.Rejected)
			}
			said = append(said, p)
			return false, err
		}}
		var err error
		for rest := output; len(rest) > 0 && err == nil; {
			n := min(max(size, 1), len(rest))
			_, err = w.Write(rest[:n])
			rest = rest[n:]
			if len(w.rest) > longestLine {
				t.Fatalf("%d bytes are kept", len(w.rest))
			}
		}
		if err == nil {
			err = w.close()
		}
		if lines := bytes.Count(output, []byte("\n")) + 1; err == nil && (len(said) > lines || len(said) < lines-1) {
			t.Fatalf("%d preferences from %d lines", len(said), lines)
		}
	})
}
