package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of one process. What reaches them is a failure, whatever the fault.
const (
	timeLimit   = time.Minute
	memoryLimit = 2 << 30
)

// command is one start of tame.
type command struct {
	dir   string
	args  []string
	stdin io.Reader
	env   []string

	signal syscall.Signal // sent once, 0 for none
	after  time.Duration  // the moment of the signal, from the start
	when   func() bool    // if not nil, the signal waits for it too
	then   func()         // called when the signal was sent, if not nil
	limit  time.Duration  // 0 for timeLimit
}

// ended is how a process ended.
type ended struct {
	args     []string
	status   int            // exit status; 128 and the signal's number if a signal ended it
	killer   syscall.Signal // the signal that ended it, 0 if it ended by itself
	signaled bool           // the command's signal was sent before the end
	output   string         // standard output and error
	stdout   string
	took     time.Duration
	peak     int64 // most memory it had, in bytes
	broken   error // a promise that no command may break: no panic, an end in time, bounded memory
}

// start runs tame to its end.
func (s *suite) start(ctx context.Context, c command) (ended, error) {
	cmd := exec.CommandContext(ctx, s.Binary, c.args...)
	cmd.Dir, cmd.Stdin, cmd.Env = c.dir, c.stdin, append(os.Environ(), c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	both, stdout := &record{}, &record{}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(both, stdout), both
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return ended{}, err
	}
	e := ended{args: c.args}
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		e.signaled, e.broken = c.watch(cmd.Process.Pid, begin, over)
	}()
	err := cmd.Wait()
	close(over)
	<-watched
	_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // what it started and left
	if ctx.Err() != nil {
		return ended{}, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return ended{}, err
	}
	e.took, e.output, e.stdout = time.Since(begin), both.String(), stdout.String()
	wait := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if e.status = wait.ExitStatus(); wait.Signaled() {
		e.killer = wait.Signal()
		e.status = 128 + int(e.killer)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		e.peak = usage.Maxrss
		if runtime.GOOS != "darwin" {
			e.peak <<= 10 // elsewhere it is in KiB
		}
	}
	if e.broken == nil && crashed.MatchString(e.output) {
		e.broken = failf("crashed: %s", e.summary())
	}
	return e, nil
}

// crashed is what the runtime of Go writes before it ends a process.
var crashed = regexp.MustCompile(`(?m)^(panic: |fatal error: |runtime: |unexpected fault |SIG[A-Z]+: )`)

// watch sends the signal at its moment and holds the process to the limits, until over is closed.
func (c command) watch(pid int, begin time.Time, over chan struct{}) (signaled bool, broken error) {
	limit := c.limit
	if limit == 0 {
		limit = timeLimit
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		wait := time.Duration(1 << 62)
		if c.signal != 0 && !signaled && c.when == nil {
			wait = time.Until(begin.Add(c.after))
		}
		select {
		case <-over:
			return signaled, broken
		case <-time.After(max(wait, 0)):
		case <-tick.C:
		}
		since := time.Since(begin)
		if c.signal != 0 && !signaled && since >= c.after && (c.when == nil || c.when()) {
			signaled = true
			_ = unix.Kill(pid, c.signal)
			if c.then != nil {
				c.then()
			}
		}
		switch {
		case broken != nil:
		case since > limit:
			broken = failf("does not end within %v", limit)
			_ = unix.Kill(-pid, unix.SIGKILL)
		case n%16 == 0 && residentMemory(pid) > memoryLimit:
			broken = failf("takes more than %d MiB of memory", memoryLimit>>20)
			_ = unix.Kill(-pid, unix.SIGKILL)
		}
	}
}

// residentMemory is what a process has now, 0 where /proc does not tell.
func residentMemory(pid int) (bytes int64) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var all, resident int64
	if _, err := fmt.Sscan(string(raw), &all, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

// summary is the last lines of the output, for a failure.
func (e ended) summary() string {
	lines := strings.Split(strings.TrimSpace(e.output), "\n")
	if at := strings.Index(e.output, "\npanic:"); at >= 0 {
		lines = strings.Split(e.output[at+1:], "\n")
		lines = lines[:min(len(lines), 12)]
	}
	lines = lines[max(0, len(lines)-12):]
	for i, line := range lines {
		if len(line) > 400 {
			lines[i] = line[:400] + "..."
		}
	}
	return fmt.Sprintf("status %d: %s", e.status, strings.Join(lines, "\n"))
}

// record keeps the begin and the end of an output.
type record struct {
	lock       sync.Mutex
	head, tail []byte
}

const recorded = 32 << 10

func (r *record) Write(p []byte) (int, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	n := len(p)
	room := min(recorded-len(r.head), n)
	r.head, p = append(r.head, p[:room]...), p[room:]
	if r.tail = append(r.tail, p...); len(r.tail) > recorded {
		r.tail = append(r.tail[:0], r.tail[len(r.tail)-recorded:]...)
	}
	return n, nil
}

func (r *record) String() string {
	r.lock.Lock()
	defer r.lock.Unlock()
	return string(bytes.Join([][]byte{r.head, r.tail}, nil))
}
