package everest

import (
	"bytes"
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// parentDeathSignal is read while the package is initialised. The kernel keeps the signal per thread, and only the
// first thread has it. The initialisation runs on the first thread; later code may run on any thread.
var parentDeathSignal = readParentDeathSignal()

func readParentDeathSignal() syscall.Signal {
	var signal int32
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&signal)), 0)
	if errno != 0 {
		return 0
	}
	return syscall.Signal(signal)
}

// spawnedByManager reports whether the process gets SIGTERM when its parent dies. A manager arranges that for its
// modules.
func spawnedByManager() bool { return parentDeathSignal == syscall.SIGTERM }

// keepDescriptorsFromChildren marks all open descriptors close-on-exec. A module inherits the manager's open broker
// connection. A child process that kept this connection open would hide the manager's death from the broker. Go marks
// the files that it opens itself, so only inherited descriptors change.
func keepDescriptorsFromChildren() error {
	directory, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range directory {
		descriptor, err := strconv.Atoi(entry.Name())
		if err == nil && descriptor > 2 {
			syscall.CloseOnExec(descriptor)
		}
	}
	return nil
}

// parentProcess identifies the process that started this one, over its life: by the boot, its process id, and its start.
// It returns an empty string where the system does not tell.
func parentProcess() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	parent := os.Getppid()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(parent) + "/stat")
	if err != nil {
		return ""
	}
	// The name in the second field may have spaces and parentheses. The start is field 22.
	fields := strings.Fields(string(status[bytes.LastIndexByte(status, ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return strings.TrimSpace(string(boot)) + "/" + strconv.Itoa(parent) + "/" + fields[19]
}

// claim reports whether nobody else in this network namespace holds the name, and holds it until release or the end of
// the process. An abstract UNIX socket leaves nothing behind.
func claim(name string) (release func(), ok bool) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "unix", "@"+name)
	if err != nil {
		return nil, false
	}
	return func() { listener.Close() }, true
}
