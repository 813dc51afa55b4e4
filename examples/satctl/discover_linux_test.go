package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/satellite/discovery"
)

// inNamespace runs the test again in a process with a network of its own, and tells whether this is that process.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv("SATCTL_TEST_NAMESPACE") != "" {
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("the program ip, of iproute2, is not installed")
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	command.Env = append(os.Environ(), "SATCTL_TEST_NAMESPACE=1")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	output, err := command.CombinedOutput()
	if errors.Is(err, syscall.EPERM) && os.Getenv("CI") == "" {
		t.Skip("a network namespace needs CAP_NET_ADMIN and CAP_SYS_ADMIN")
	}
	t.Logf("%s", output)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	if !inNamespace(t) {
		return
	}
	for _, arguments := range []string{"link add internal type veth peer name far", "addr add 10.90.0.2/24 dev internal", "link set internal up", "link set far up"} {
		if output, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", arguments, err, output)
		}
	}
	if got := satctl(t, nil, "discover", "-t", "200ms", "internal").expect(t, exitNotWorking); !strings.Contains(got.errors, "no satellite found on internal") {
		t.Errorf("nobody: %s", got.errors)
	}
	if got := satctl(t, nil, "discover", "not/one").expect(t, exitUsage); got.out != "" {
		t.Errorf("output %s", got.out)
	}
	if got := satctl(t, nil, "discover", "internal,eth9").expect(t, exitUsage); !strings.Contains(got.errors, "no such interface eth9; there are lo, ") || !strings.Contains(got.errors, "internal") {
		t.Errorf("no such interface: %s", got.errors)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var announcing sync.WaitGroup
	announcing.Go(func() {
		err := discovery.Announce(ctx, discovery.Announcement{
			Serial: "ABC123", ModuleID: "remote_controller", Version: "v1.0.0", Dialects: []string{"legacy", "v2"}, Port: 4129, Interfaces: []string{"internal"},
		})
		if err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	defer announcing.Wait()
	defer cancel()
	var got ran
	for begin := time.Now(); ; { // an agent first probes for about a second whether its name is free
		if got = satctl(t, nil, "discover", "--timeout=1s", "internal"); got.status == exitWell {
			break
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("the satellite is not found: %+v", got)
		}
	}
	want := regexp.MustCompile(`^SERIAL +MODULE +VERSION +DIALECTS +HEARD ON +ADDRESS\nABC123 +remote_controller +v1\.0\.0 +legacy,v2 +internal +10\.90\.0\.2:4129`)
	if !want.MatchString(got.out) {
		t.Errorf("table:\n%s", got.out)
	}
	t.Logf("\n%s", got.out)
	var board discovered
	// A responder repeats a multicast response after one second at the earliest (RFC 6762, 6).
	lines := satctl(t, nil, "discover", "-t", "3s", "--json", "internal").expect(t, exitWell).out
	if err := json.Unmarshal([]byte(lines), &board); err != nil || board.Serial != "ABC123" || len(board.Endpoints) == 0 || board.Endpoints[0].Port() != 4129 || board.Duplicate {
		t.Errorf("%v: %s", err, lines)
	}
}
