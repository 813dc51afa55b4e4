package satellite_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// segmentOf returns how many bytes the segments of a new connection to an address have at most.
func segmentOf(t *testing.T, host, address string) (size int) {
	t.Helper()
	raw, err := from(t, host, address).(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { size, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// An agent whose controller speaks legacy, now or before its start, gives each connection small segments from the start.
func TestSegmentsAreSmallForALegacyController(t *testing.T) {
	for _, test := range []struct {
		dialect, before string
		small           bool
	}{
		{"legacy", "", true}, {"auto", "legacy", true}, {"auto", "v2", false}, {"auto", "", false}, {"v2", "", false},
	} {
		t.Run(fmt.Sprintf("%s, before %q", test.dialect, test.before), func(t *testing.T) {
			directory := t.TempDir()
			t.Setenv("STATE_DIRECTORY", directory)
			memory := filepath.Join(directory, agentID+".dialect")
			if test.before != "" {
				if err := os.WriteFile(memory, []byte(test.before+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{dialect: test.dialect})
			// The queue of the controller, which is that of its address, and the queue of strangers.
			for _, host := range []string{"127.0.0.1", "127.0.0.77"} {
				if size := segmentOf(t, host, s.satellite.address); (size <= 1200) != test.small {
					t.Errorf("from %s: segments of %d bytes", host, size)
				}
			}
			want := "v2\n"
			if test.dialect == "legacy" {
				want = "legacy\n"
			}
			waitUntil(t, "the dialect is remembered", func() bool {
				kept, _ := os.ReadFile(memory)
				return string(kept) == want
			})
		})
	}
}
