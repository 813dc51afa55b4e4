package satellite

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// The last dialect outlives a process where there is a state directory, and only there.
func TestTheLastDialectIsRemembered(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	memory := func(module string) dialectMemory { return dialectMemory{path: stateFile("", module, ".dialect")} }
	for _, directory := range []string{"", first, first + ":" + second} {
		t.Setenv("STATE_DIRECTORY", directory)
		for _, dialect := range []handshake.Dialect{handshake.Legacy, handshake.V2, handshake.Legacy} {
			if err := memory("connector_2").remember(dialect); err != nil {
				t.Fatal(err)
			}
			legacy, err := memory("connector_2").legacy()
			if want := directory != "" && dialect == handshake.Legacy; legacy != want || err != nil {
				t.Errorf("directory %q: legacy is %v, %v after %v, want %v", directory, legacy, err, dialect, want)
			}
			if other, err := memory("connector_3").legacy(); other || err != nil {
				t.Errorf("another module remembers %v, %v", other, err)
			}
		}
	}
	t.Setenv("STATE_DIRECTORY", first)
	if path, want := stateFile(second, "connector_2", ".dialect"), filepath.Join(second, "connector_2.dialect"); path != want {
		t.Errorf("a directory that is given: %s, want %s", path, want)
	}
	if files, err := os.ReadDir(second); len(files) > 0 || err != nil {
		t.Errorf("the second directory holds %v, %v", files, err)
	}
}

// A memory that cannot be used is an error, and counts as none.
func TestABrokenMemoryIsNone(t *testing.T) {
	directory := t.TempDir()
	memory := dialectMemory{path: filepath.Join(directory, "connector_2.dialect")}
	if err := os.WriteFile(memory.path, []byte("klingon\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if legacy, err := memory.legacy(); legacy || err == nil {
		t.Errorf("a file without a dialect: %v, %v", legacy, err)
	}
	gone := dialectMemory{path: filepath.Join(directory, "gone", "connector_2.dialect")}
	if legacy, err := gone.legacy(); legacy || err != nil {
		t.Errorf("a directory that is not there: %v, %v", legacy, err)
	}
	if err := gone.remember(handshake.V2); err == nil {
		t.Error("a dialect was remembered in a directory that is not there")
	}
}

// What the keys say of the loss of a satellite.
func TestOnLossKeys(t *testing.T) {
	for _, test := range []struct {
		parameters   controllerParameters
		policy       handshake.LossPolicy
		legacyBefore bool
		keep         time.Duration
	}{
		{controllerParameters{OnLoss: "restart"}, handshake.RestartOnLoss, false, 30 * time.Second},
		{controllerParameters{OnLoss: "isolate"}, handshake.IsolateOnLoss, false, 12 * time.Hour},
		{controllerParameters{OnLoss: "isolate", OutageLimit: 2}, handshake.IsolateOnLoss, false, 2 * time.Hour},
		{controllerParameters{OnLoss: "auto", OutageLimit: 2}, handshake.AutoOnLoss, false, 2 * time.Hour},
		{controllerParameters{OnLoss: "auto", Dialect: "legacy"}, handshake.AutoOnLoss, true, 12 * time.Hour},
	} {
		config, err := test.parameters.protocol(handshake.ControllerConfig{})
		if err != nil || config.LossPolicy != test.policy || config.LegacyBefore != test.legacyBefore || config.KeepLink() != test.keep {
			t.Errorf("%+v: policy %v, legacy before %v, the agent keeps the link for %v, %v", test.parameters,
				config.LossPolicy, config.LegacyBefore, config.KeepLink(), err)
		}
	}
	for _, refused := range []controllerParameters{{OnLoss: "isolate", Dialect: "legacy"}, {OnLoss: "hope"}} {
		if _, err := refused.protocol(handshake.ControllerConfig{}); err == nil {
			t.Errorf("%+v is accepted", refused)
		}
	}
}
