package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestEscapedOnATerminal: what a model says steers no terminal, and a pipe gets it as it is.
func TestEscapedOnATerminal(t *testing.T) {
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("needs pseudo-terminals:", err)
	}
	defer screen.Close()
	require.NoError(t, unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	defer terminal.Close()

	fmt.Fprint(escaped(terminal), "\x1b]0;x\a")
	read := make([]byte, 64)
	size, err := screen.Read(read)
	require.NoError(t, err)
	assert.Equal(t, `\x1b]0;x\a`, string(read[:size]))

	var pipe bytes.Buffer
	fmt.Fprint(escaped(&pipe), "\x1b]0;x\a")
	assert.Equal(t, "\x1b]0;x\a", pipe.String())
}
