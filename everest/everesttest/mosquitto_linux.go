package everesttest

import (
	"os/exec"
	"runtime"
	"syscall"
)

// dieWithParent makes the kernel kill the command when this process ends, even by a signal. The kernel ties the command
// to the thread that starts it, so the calling goroutine keeps its thread until release.
func dieWithParent(command *exec.Cmd) (release func()) {
	runtime.LockOSThread()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return runtime.UnlockOSThread
}
