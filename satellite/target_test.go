package satellite

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
)

func TestTargets(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ hostname, dialled, host, serial string }{
		{"10.0.0.2", "10.0.0.2:4129", "10.0.0.2", ""},
		{"fd00::2", "[fd00::2]:4129", "fd00::2", ""},
		{"[fd00::2]", "[fd00::2]:4129", "fd00::2", ""},
		{"fe80::1%eth0", "[fe80::1%eth0]:4129", "fe80::1%eth0", ""},
		{"[fe80::1%eth0]", "[fe80::1%eth0]:4129", "fe80::1%eth0", ""},
		{"::1", "[::1]:4129", "::1", ""},
		{"satellite-2", "satellite-2:4129", "satellite-2", ""},
		{"satellite.local", "satellite.local:4129", "satellite.local", ""},
		{"serial:ABC123", "serial:ABC123", "", "ABC123"},
		{"serial:a.b-c_1", "serial:a.b-c_1", "", "a.b-c_1"},
	} {
		got, err := parseTarget(test.hostname, 4129)
		if err != nil || got.String() != test.dialled || got.host != test.host || got.serial != test.serial {
			t.Errorf("%s: %+v (%s), %v, want %+v", test.hostname, got, got, err, test)
		}
	}
	for hostname, says := range map[string]string{
		"":                                  "is empty",
		"serial:":                           "serial number is empty",
		"serial:A B":                        "has the character",
		"10.0.0.2:4129":                     "belongs in the key port",
		"satellite:4129":                    "belongs in the key port",
		"[fd00::2]:4129":                    "belongs in the key port",
		"[fd00::2":                          "within brackets",
		"[10.0.0.2]":                        "within brackets",
		"tcp://10.0.0.2":                    "not an IP address, a name or serial",
		"satellite 2":                       "not an IP address, a name or serial",
		"10.0.0.2%eth0":                     "not an IP address, a name or serial",
		"serial:" + strings.Repeat("x", 65): "more than 64",
	} {
		if got, err := parseTarget(hostname, 4129); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %+v, %v, want an error that says %q", hostname, got, err, says)
		}
	}
}

// The first address that answers wins; those that are still tried are ended.
func TestTheFirstAddressThatAnswersIsTaken(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	var ended, begun atomic.Int32
	dial := func(ctx context.Context, address string) (*rpc.Client, error) {
		begun.Add(1)
		defer ended.Add(1)
		switch {
		case address == "refuses":
			return nil, refused
		case address == "silent":
			<-ctx.Done()
			return nil, ctx.Err()
		}
		near, far := net.Pipe()
		t.Cleanup(func() { far.Close() })
		return rpc.NewClient(near, rpc.Config{}), nil
	}
	for _, addresses := range []string{"answers", "refuses answers", "silent answers", "refuses silent silent answers", "answers answers"} {
		begun.Store(0)
		ended.Store(0)
		client, err := dialFirst(t.Context(), strings.Fields(addresses), time.Millisecond, dial)
		if err != nil {
			t.Errorf("%s: %v", addresses, err)
			continue
		}
		if begun.Load() != ended.Load() {
			t.Errorf("%s: %d attempts begun, %d ended", addresses, begun.Load(), ended.Load())
		}
		client.Close()
	}
	if _, err := dialFirst(t.Context(), []string{"refuses", "refuses"}, time.Hour, dial); err == nil || !strings.Contains(err.Error(), "refused; refused") {
		t.Errorf("all refuse: %v, want both reasons", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := dialFirst(ctx, []string{"silent", "silent"}, time.Millisecond, dial); err == nil {
		t.Error("nobody answers, and yet there is a connection")
	}
}

func TestDiscoveryThatIsNotConfiguredRight(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		parameters controllerParameters
		says       string
	}{
		{controllerParameters{Hostname: "serial:A"}, "discovery_interfaces must name"},
		{controllerParameters{Hostname: "serial:A", DiscoveryInterfaces: "eth0,,eth1"}, "empty name"},
		{controllerParameters{Hostname: "serial:A", DiscoveryInterfaces: "eth0:1"}, "cannot be the name"},
		{controllerParameters{Hostname: "10.0.0.1", DiscoveryInterfaces: ","}, "empty name"},
	} {
		target, _ := parseTarget(test.parameters.Hostname, 4129)
		if _, err := newWatcher(target, test.parameters.DiscoveryInterfaces, false, nil); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v, want an error that says %q", test.parameters, err, test.says)
		}
	}
	// A host needs no discovery, and gets none.
	if watcher, err := newWatcher(target{host: "10.0.0.1"}, "eth0", false, nil); err != nil || watcher != nil {
		t.Errorf("a host: %v, watcher %v", err, watcher)
	}
}
