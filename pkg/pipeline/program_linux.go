package pipeline

import (
	"os/exec"
	"runtime"
	"syscall"
)

// endsWithThis has the kernel kill a program that asGroup prepared when this process is killed and can no longer do so itself.
// What the program has started is out of reach. The kernel takes the end of the thread that starts the program for that of the
// process, so the thread is kept until release is called, after the program's end.
func endsWithThis(cmd *exec.Cmd) (release func()) {
	runtime.LockOSThread()
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return runtime.UnlockOSThread
}
