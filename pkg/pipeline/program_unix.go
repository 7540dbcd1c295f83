//go:build unix

package pipeline

import (
	"os/exec"
	"syscall"
)

// asGroup puts a program and what it starts into a process group, which is killed as one: a grandchild would keep the pipes
// open. kill does that when the program has ended.
func asGroup(cmd *exec.Cmd) (kill func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return func() {
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // nothing is left if this fails
		}
	}
}
