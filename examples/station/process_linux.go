package main

import (
	"os/exec"
	"syscall"
)

// endWithParent lets the kernel kill the child when its parent dies. A group of
// its own keeps a terminal's Ctrl-C from it: the station ends its boards in order.
func endWithParent(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
