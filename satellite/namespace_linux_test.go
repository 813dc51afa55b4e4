package satellite_test

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const insideNamespace = "SATELLITE_TEST_NAMESPACE"

// inNamespace runs the test again in a process with a network of its own, whose
// link the test can take down. It reports whether this is that process. Such
// tests run beside each other.
func inNamespace(t *testing.T) bool {
	t.Helper()
	t.Parallel()
	if os.Getenv(insideNamespace) != "" {
		setLoopback(t, "up")
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("the program ip, of iproute2, is not installed")
	}
	arguments := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-link.faults=" + strconv.Itoa(*campaignFaults)}
	if deadline, ok := t.Deadline(); ok {
		arguments = append(arguments, "-test.timeout="+time.Until(deadline).String())
	}
	command := exec.CommandContext(t.Context(), os.Args[0], arguments...)
	command.Env = append(os.Environ(), insideNamespace+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	output, err := command.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("a network namespace needs CAP_NET_ADMIN and CAP_SYS_ADMIN")
	}
	t.Logf("%s", output)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// A link that goes down, in the kernel, loses nothing either.
func TestCampaignInANamespace(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	runCampaign(t, append(cableFaults, linkFault{"link down", func(c *campaign) {
		setLoopback(c.t, "down")
		c.wait(c.pause())
		setLoopback(c.t, "up")
	}}), *campaignFaults)
}

// A link that goes down tells nobody: each side notices by itself.
func TestALinkThatGoesDownIsNoticed(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	took := detection(t, 3)
	t.Logf("link down, noticed by both after %v to %v", took[0], took[len(took)-1])
	if longest := took[len(took)-1]; longest > 15*time.Second {
		t.Errorf("noticed after %v", longest)
	}
}
