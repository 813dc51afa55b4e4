package everest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// installVersion makes an installation of a release, as its build writes it. Without a version that is not known.
func installVersion(t testing.TB, prefix, family, version string) {
	t.Helper()
	installLibrary(t, prefix, family)
	if version == "" {
		return
	}
	directory := filepath.Join(prefix, "share/everest")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "version_information.txt"), []byte("everest-core "+version+" HEAD@"+version+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// moduleOfRelease runs a standalone module of a release whose other modules are not ready yet.
func moduleOfRelease(t *testing.T, family, version string) (*Module, *publishes) {
	t.Helper()
	prefix := t.TempDir()
	installVersion(t, prefix, family, version)
	hub := &publishes{memoryHub: &memoryHub{}}
	manager := memoryManager("one", memoryConfig)
	hub.answer = func(message Message) []Message {
		if strings.HasSuffix(message.Topic, "/ready") {
			return nil
		}
		return manager(message)
	}
	m, err := Connect(t.Context(), Options{ModuleID: "one", InstallPrefix: prefix, OpenTransport: hub.open, Spawned: new(false)})
	if err != nil {
		t.Fatal(err)
	}
	return m, hub
}

// A manager of 2025.12 answers a repeated ready with a second global ready where all modules have become ready meanwhile,
// and its C++ modules end at that. So a module repeats ready only until the manager listens for sure.
func TestRemindsNoManagerThatListens(t *testing.T) {
	for version, forEver := range map[string]bool{"2025.12.1": false, "": false, "2026.02.0": true} {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, hub := moduleOfRelease(t, "C", version)
				ended := make(chan error, 1)
				go func() { ended <- m.Run(t.Context()) }()
				defer func() { m.Close(); <-ended }()
				ready := func() int { return len(hub.on("everest/modules/one/ready")) }
				time.Sleep(time.Minute)
				if synctest.Wait(); ready() < 5 {
					t.Errorf("ready %d times, while no manager is known to listen", ready())
				}
				hub.deliver(Message{Topic: "everest/module_names", Payload: []byte(`{"data":{"one":"One"},"msg_type":"GetConfigResponse"}`), Retained: true})
				time.Sleep(time.Minute)
				synctest.Wait()
				before := ready()
				time.Sleep(time.Hour)
				if synctest.Wait(); (ready() > before) != forEver {
					t.Errorf("ready %d times, and %d times long after the manager's start", before, ready()-before)
				}
			})
		})
	}
}

// The form of telemetry and the largest packet depend on the release, not on the family alone.
func TestWhatDependsOnTheRelease(t *testing.T) {
	for _, test := range []struct {
		family, version string
		telemetry       string
		once            bool
		packet          int
	}{
		{"C", "2025.12.0", `{"data":"{\"a\":1}","msg_type":"ExternalMQTT"}`, true, MaxPacketSize},
		{"C", "2026.02.0", `{"data":"{\"a\":1}","msg_type":"ExternalMQTT"}`, true, MaxPacketSize},
		{"C", "", `{"data":"{\"a\":1}","msg_type":"ExternalMQTT"}`, true, MaxPacketSize},
		{"C", "2026.02.1", `{"a":1}`, false, MaxPacketSize},
		{"C", "2026.10.0", `{"a":1}`, false, maxMQTTPacket},
		{"D", "2026.10.0", `{"a":1}`, false, maxMQTTPacket},
		{"B2", "2025.1.0", `{"a":1}`, false, MaxPacketSize},
	} {
		prefix := t.TempDir()
		installVersion(t, prefix, test.family, test.version)
		m, err := newModule(Options{ModuleID: "one", InstallPrefix: prefix, Spawned: new(false)})
		if err == nil {
			err = m.lookForFamily()
		}
		if err != nil {
			t.Fatal(err)
		}
		payload, once := m.wire.Telemetry([]byte(`{"a":1}`))
		if string(payload) != test.telemetry || once != test.once || m.maxPacketSize() != test.packet {
			t.Errorf("%s %s: telemetry %s, once %v, packets of %d bytes", test.family, test.version, payload, once, m.maxPacketSize())
		}
		m.Close()
	}
}
