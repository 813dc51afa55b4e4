package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/everest/program"
)

func TestInstall(t *testing.T) {
	prefix := t.TempDir()
	if status := program.Main([]string{"-install", prefix, "-force"}, aggregator.Installation(), run); status != 0 {
		t.Fatalf("status %d", status)
	}
	installed, err := os.Stat(filepath.Join(prefix, "libexec/everest/modules/SystemAggregator/SystemAggregator"))
	if err != nil || installed.Mode().Perm()&0o111 == 0 {
		t.Errorf("the program: %v %v", installed, err)
	}
	manifest, err := os.ReadFile(filepath.Join(prefix, "libexec/everest/modules/SystemAggregator/manifest.yaml"))
	if err != nil || !bytes.Equal(manifest, aggregator.Installation().Manifest) {
		t.Errorf("the manifest: %v", err)
	}
	if _, err := os.Stat(filepath.Join(prefix, "share/everest/interfaces/satellite.yaml")); err != nil {
		t.Error(err)
	}
}

func TestMistakes(t *testing.T) {
	for _, arguments := range [][]string{{"-install"}, {"--install", "a", "b"}, {}, {"--mqtt_broker_port", "many", "--module", "x"}} {
		if status := program.Main(arguments, aggregator.Installation(), run); status == 0 {
			t.Errorf("%q is taken", arguments)
		}
	}
}
