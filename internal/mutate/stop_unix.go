//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// stopAsGroup interrupts the go command together with the test that it runs; alone it would leave
// the test running.
func stopAsGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}
