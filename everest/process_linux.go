package everest

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// parentDeathSignal is read while the package is initialised, because the kernel keeps it per thread and the first
// thread, which alone has it, runs the initialisation; later this code might run on any thread.
var parentDeathSignal = readParentDeathSignal()

func readParentDeathSignal() syscall.Signal {
	var signal int32
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&signal)), 0)
	if errno != 0 {
		return 0
	}
	return syscall.Signal(signal)
}

// spawnedByManager reports whether the process gets SIGTERM when its parent dies, which a manager arranges for its modules.
func spawnedByManager() bool { return parentDeathSignal == syscall.SIGTERM }

// keepDescriptorsFromChildren marks all open descriptors close-on-exec. A manager leaves its own broker connection open
// in its modules; a child of a module that held it further would hide the manager's death from the broker. Go opens
// everything with that mark itself, so nothing but inherited descriptors changes.
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
