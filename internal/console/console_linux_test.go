package console

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/pty"
)

// waitFor waits until a terminal, or something else, shows a text.
func waitFor(t *testing.T, shown func() string, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(shown(), text) }, 10*time.Second, time.Millisecond, "want %q", text)
}

// What has ended stays as one line each, what goes on is one line in whatever width, and nothing ever takes the place of a message.
func TestTerminal(t *testing.T) {
	for _, columns := range []int{20, 40, 80, 100, 130} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			term := pty.New(t, columns)
			show := func() string { return strings.Join(term.Lines(), "\n") }
			c := New(term.File)
			c.Phase("reading")
			waitFor(t, show, "reading")
			c.Phase("packing")
			assert.NotContains(t, show(), "reading\n")
			c.Printf("12 rows")
			task := c.GoOn("数据 of the reward model\x1b[2J", 3, 9)
			waitFor(t, show, "数据")
			for i := range 6 {
				task.Update(4+i, "loss 1.234  accuracy 0.75  reward 12.345  KL 0.01  entropy 3.21")
				time.Sleep(frameInterval / 2)
				if i == 2 {
					c.Printf("a message")
					waitFor(t, show, "a message") // at once, and not when the task ends
				}
			}
			task.update(t, c)
			assert.Zero(t, term.Wraps())
			assert.NotContains(t, term.Raw(), "\x1b[2J")
			frame := term.Lines()[2]
			assert.LessOrEqual(t, columnsOf(frame), columns-1)
			if columns >= 40 {
				assert.Contains(t, frame, "9/9")
			}
			if columns >= 130 {
				assert.Contains(t, frame, "[####################]")
				assert.Contains(t, frame, "accuracy 0.75")
			}
			task.Done("x 1")
			c.Close()
			c.Close()
			term.Close()
			lines := term.Lines()
			assert.Equal(t, []string{"12 rows", "a message"}, lines[:2])
			assert.Regexp(t, `^数据 of the reward`, lines[2])
			assert.Contains(t, strings.Join(lines[2:], ""), "x 1")
		})
	}
}

// update draws a frame.
func (t *Task) update(_ *testing.T, c *Console) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.show()
	time.Sleep(frameInterval / 2) // until it is read
}

// What begins and what is said is shown at once: here nothing draws it again.
func TestAtOnce(t *testing.T) {
	var out strings.Builder
	c := &Console{out: &out, size: func() int { return 80 }, stop: make(chan struct{})}
	c.Phase("reading")
	assert.Contains(t, out.String(), "reading")
	c.Start("training", 4)
	assert.Contains(t, out.String(), "training  0/4")
	c.Printf("a message")
	assert.Regexp(t, `a message\n.*training  0/4.*$`, out.String())
}

// The width is that of the window now. What was stopped stays as it was.
func TestTerminalGetsNarrower(t *testing.T) {
	term := pty.New(t, 100)
	c := New(term.File)
	task := c.Start("training", 4)
	task.Update(1, "loss 1.5")
	waitFor(t, func() string { return strings.Join(term.Lines(), "") }, "loss 1.5")
	require.NoError(t, term.Resize(30))
	time.Sleep(2 * frameInterval)
	c.Close()
	term.Close()
	require.Len(t, term.Lines(), 1)
	assert.Regexp(t, `^training  1/4  \d+s, \d+s left$`, term.Lines()[0])
}

// Into a file go plain lines: messages and the first line of a task at once, phases when they take long.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	text := func() string {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(raw)
	}
	c := New(file)
	c.Phase("soon over")
	c.Phase("hashing %s", "a\rb")
	waitFor(t, text, "hashing a\\rb\n")
	task := c.Start("training", 4)
	require.Contains(t, text(), "training                     0/4\n")
	c.Printf("a message")
	require.Contains(t, text(), "a message\n")
	task.Update(1, "loss 3")
	task.printed = time.Now().Add(-plainInterval)
	task.Update(2, "loss 2")
	task.Done("loss 1")
	c.Close()
	assert.Regexp(t, `^hashing a\\rb
training                     0/4
a message
training                     2/4  0s left  loss 2
training                 done in [\d.]+m?s  loss 1
$`, text())
	assert.NotContains(t, text(), "\x1b")
}

// The time before the first step's end counts.
func TestTimes(t *testing.T) {
	now := time.Now()
	task := Task{name: "x", total: 10, before: 2, done: 2, start: now.Add(-25 * time.Second)}
	took, left := task.times(now)
	assert.Equal(t, []string{"25s", ""}, []string{took, left})
	task.done = 3
	took, left = task.times(now)
	assert.Equal(t, []string{"25s", "2m55s left"}, []string{took, left})
}

func TestCut(t *testing.T) {
	assert.Equal(t, "ab", cut("abc", 2))
	assert.Equal(t, "数", cut("数据", 3))
	assert.Equal(t, "e\u0301a", cut("e\u0301a", 2))
	assert.Equal(t, `\x1b[2J\na`, cut("\x1b[2J\na", 20))
}
