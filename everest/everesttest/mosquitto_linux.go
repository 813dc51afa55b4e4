package everesttest

import (
	"os/exec"
	"runtime"
	"syscall"
)

// dieWithParent makes the kernel end the command when this process dies, even by a signal. The kernel watches the thread
// that started the command, so the calling goroutine keeps it until release.
func dieWithParent(command *exec.Cmd) (release func()) {
	runtime.LockOSThread()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return runtime.UnlockOSThread
}
