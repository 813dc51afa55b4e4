package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/remotechargeport/remotechargeport/aggregator"
)

func TestInstall(t *testing.T) {
	prefix := t.TempDir()
	if err := program.Main([]string{"-install", prefix}); err != nil {
		t.Fatal(err)
	}
	program, err := os.Stat(filepath.Join(prefix, "libexec/everest/modules/SystemAggregator/SystemAggregator"))
	if err != nil || program.Mode().Perm()&0o111 == 0 {
		t.Errorf("the program: %v %v", program, err)
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
		if err := program.Main(arguments); err == nil {
			t.Errorf("%q is taken", arguments)
		}
	}
}
