package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/program"

	"go.uber.org/goleak"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

func TestMain(m *testing.M) {
	everesttest.Patience = time.Minute // the machine may be busy
	everesttest.AddURLFlag(flag.CommandLine)
	goleak.VerifyTestMain(m)
}

// newStation runs the module with a fake for each requirement.
func newStation(t *testing.T, config everesttest.StationConfig) *everesttest.Station {
	t.Helper()
	known, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	if config.Definitions, err = known.WithInterface("echo", echoInterface); err != nil {
		t.Fatal(err)
	}
	config.Manifest = manifest
	return everesttest.NewStation(t, config, run)
}

func TestEcho(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		station := newStation(t, everesttest.StationConfig{Broker: broker, Config: map[string]any{"greeting": "good morning"}})
		var answer string
		station.Call("main", "echo", map[string]any{"text": "sun"}, &answer)
		if answer != "good morning sun" {
			t.Errorf("answer %q", answer)
		}
		station.Call("main", "echo", map[string]any{"text": ""}, nil)
		station.Call("main", "echo", map[string]any{"text": "moon"}, nil)
		station.Expect(
			everesttest.Published("main", "echoed", 1),
			everesttest.Raised("main", "generic/VendorWarning", "silence"),
			everesttest.Cleared("main", "generic/VendorWarning", "silence"),
			everesttest.Published("main", "echoed", 2),
		)
	})
}

func TestNextModuleEchoes(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		station := newStation(t, everesttest.StationConfig{Broker: broker, Connections: map[string]int{"next": 1}})
		station.Fake("next").Handle("echo", func(_ context.Context, arguments everest.Args) (any, error) {
			var text string
			err := arguments.Decode("text", &text)
			return text + " and farewell", err
		})
		if err := station.TryCall("main", "echo", map[string]any{"text": 3}, nil); err == nil {
			t.Error("a number as the text is not an error")
		}
		var answer string
		station.Call("main", "echo", map[string]any{"text": "sun"}, &answer)
		if answer != "hello sun and farewell" {
			t.Errorf("answer %q", answer)
		}
		station.Expect(everesttest.Called("next", "echo", map[string]string{"text": "hello sun"}), everesttest.Published("main", "echoed", 1))
	})
}

func TestInstall(t *testing.T) {
	prefix := t.TempDir()
	if status := program.Main([]string{"-install", prefix, "-force"}, installation(), run); status != 0 {
		t.Fatalf("status %d", status)
	}
	for _, path := range []string{"libexec/everest/modules/EchoModule/EchoModule", "libexec/everest/modules/EchoModule/manifest.yaml", "share/everest/interfaces/echo.yaml"} {
		if _, err := os.Stat(filepath.Join(prefix, path)); err != nil {
			t.Error(err)
		}
	}
	if status := program.Main(nil, installation(), run); status == 0 {
		t.Error("a start without arguments is not an error")
	}
}
