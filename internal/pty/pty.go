//go:build linux

// Package pty is for tests: a pseudo-terminal, and a model of what is seen on it.
package pty

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Terminal is a terminal whose screen a test looks at.
type Terminal struct {
	// File is the end that a program writes to and reads from.
	File   *os.File
	master *os.File
	done   chan struct{}

	mu     sync.Mutex
	screen screen
	raw    strings.Builder
}

// New opens a terminal of so many columns. It is closed when the test ends.
func New(t *testing.T, columns int) *Terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	term := &Terminal{master: master, done: make(chan struct{}), screen: screen{columns: columns, lines: [][]rune{nil}}}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		term.File, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err == nil {
		err = term.Resize(columns)
	}
	if err != nil {
		t.Fatal(err)
	}
	go term.read()
	t.Cleanup(func() { term.Close() })
	return term
}

// Resize changes the width of the window.
func (t *Terminal) Resize(columns int) error {
	t.mu.Lock()
	t.screen.columns = columns
	t.mu.Unlock()
	return unix.IoctlSetWinsize(int(t.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(columns)})
}

// Type is what the user types.
func (t *Terminal) Type(text string) error {
	_, err := io.WriteString(t.master, text)
	return err
}

// Close ends the terminal, after all that was written to it has been read.
func (t *Terminal) Close() {
	if t.File.Close() != nil { // closed before
		return
	}
	<-t.done
	t.master.Close()
}

func (t *Terminal) read() {
	defer close(t.done)
	buffer := make([]byte, 4096)
	for {
		n, err := t.master.Read(buffer)
		t.mu.Lock()
		t.raw.Write(buffer[:n])
		t.screen.write(string(buffer[:n])) // a frame is one write, and shorter than the buffer
		t.mu.Unlock()
		if err != nil { // nobody has it open any more
			return
		}
	}
}

// Lines are what is seen now, and what has scrolled away above.
func (t *Terminal) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.screen.text()
}

// Raw is all that was written to the terminal.
func (t *Terminal) Raw() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.raw.String()
}

// Wraps counts how often a character did not fit on its line.
func (t *Terminal) Wraps() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.screen.wraps
}
