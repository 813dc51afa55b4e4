package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/remotechargeport/remotechargeport/everest/durable/durabletest"
)

// board is an agent's process with a Keeper.
type board struct {
	*Keeper
	report  json.RawMessage
	changes []bool
	stop    chan struct{}
}

func start(t *testing.T, path, manager string) *board {
	t.Helper()
	b := &board{stop: make(chan struct{})}
	b.Keeper, b.report = NewKeeper(Config{
		Path: path, Manager: manager, Logger: zaptest.NewLogger(t), Changed: func(running bool) { b.changes = append(b.changes, running) },
	})
	go b.Run(b.stop)
	return b
}

// end ends the process, or cuts its power.
func (b *board) end() {
	close(b.stop)
	<-b.ended
}

func (b *board) says(id int64, status string) { b.Reported(statusOf(id, status)) }

func statusOf(id int64, status string) json.RawMessage {
	return fmt.Appendf(nil, `{"request_id":%d,"firmware_update_status":%q}`, id, status)
}

const request = `{"request_id":7,"retries":2,"retry_interval_s":60}`

// The controller's next process knows that the peer's board is being flashed, and nothing else of its update.
func TestFollowerOverARestart(t *testing.T) {
	for _, test := range []struct {
		statuses []string
		flashing bool
	}{
		{[]string{"Downloading"}, false},
		{[]string{"Downloading", "Downloaded", "Installing"}, true},
		{[]string{"InstallRebooting"}, false},
		{[]string{"InstallRebooting", "Installing"}, false},
		{[]string{"Installing", "Installed"}, false},
		{[]string{"Installing", "Idle"}, false},
	} {
		path := filepath.Join(t.TempDir(), "connector_2.update.json")
		follow := func() (k *Keeper, end func()) {
			stop := make(chan struct{})
			k = NewFollower(path, zaptest.NewLogger(t), func(bool) {})
			go k.Run(stop)
			return k, func() {
				close(stop)
				<-k.ended
			}
		}
		first, end := follow()
		first.Accepted(json.RawMessage(request))
		for _, status := range test.statuses {
			first.Reported(statusOf(7, status))
		}
		end()
		second, end := follow()
		if second.Flashing() != test.flashing || second.Running() != test.flashing {
			t.Errorf("%v: it is flashed %v, an update runs %v", test.statuses, second.Flashing(), second.Running())
		}
		second.Reported(statusOf(7, "InvalidSignature"))
		end()
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: after the end there is a file: %v", test.statuses, err)
		}
	}
}

// What is accepted is on disk before it is answered, and each further report with it. A process that restarts alone goes
// on with the update; one that restarts with its manager does not.
func TestKeeperOverARestart(t *testing.T) {
	for _, test := range []struct {
		name              string
		statuses          []string
		running, flashing bool   // of a process that restarts alone
		report            string // what is handed over after any restart
	}{
		{"accepted", nil, true, false, ""},
		{"downloading", []string{"Downloading"}, true, false, ""},
		{"attempt failed", []string{"Downloading", "DownloadFailed"}, true, false, "DownloadFailed"},
		{"flashing", []string{"Downloading", "Downloaded", "Installing"}, true, true, ""},
		{"about to restart", []string{"Installing", "InstallRebooting"}, true, true, ""},
		{"installed", []string{"Installing", "Installed"}, false, false, "Installed"},
		{"failed", []string{"Downloaded", "InvalidSignature"}, false, false, "InvalidSignature"},
	} {
		for manager, alone := range map[string]bool{"boot/1/1": true, "boot/1/2": false, "": false} {
			t.Run(fmt.Sprintf("%s, then manager %q", test.name, manager), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					path := filepath.Join(t.TempDir(), "agent.update.json")
					first := start(t, path, "boot/1/1")
					first.Accepted([]byte(request))
					for _, status := range test.statuses {
						first.says(7, status)
					}
					first.end()
					second := start(t, path, manager)
					if running, flashing := second.Running(), second.Flashing(); running != (alone && test.running) || flashing != (alone && test.flashing) {
						t.Errorf("running: %v, flashing: %v", running, flashing)
					}
					var want json.RawMessage
					if test.report != "" {
						want = statusOf(7, test.report)
					}
					if string(second.report) != string(want) {
						t.Errorf("handed over is %s, want %s", second.report, want)
					}
					// Silence ends what goes on.
					time.Sleep(FlashLimit)
					synctest.Wait()
					if second.Flashing() || alone && test.running && !slices.Equal(second.changes, []bool{false}) {
						t.Errorf("after a silence flashing: %v, changes %v", second.Flashing(), second.changes)
					}
					second.Recorded(5)
					second.Heard(4)
					synctest.Wait()
					if _, err := os.Stat(path); (err == nil) != (test.report != "") {
						t.Errorf("before the controller has the report the file is there: %v", err == nil)
					}
					second.Heard(5)
					synctest.Wait()
					if _, err := os.Stat(path); !os.IsNotExist(err) {
						t.Errorf("the file stays: %v", err)
					}
					second.end()
				})
			})
		}
	}
}

// Whenever the power is cut, the next process knows what was there before or after the last step, and what has returned.
func TestKeeperSurvivesCuts(t *testing.T) {
	do := func(change func(*Keeper)) func(string) error {
		return func(directory string) error {
			k, _ := NewKeeper(Config{Path: filepath.Join(directory, "agent.update.json"), Manager: "m", Logger: zaptest.NewLogger(t), Changed: func(bool) {}})
			stop := make(chan struct{})
			var running sync.WaitGroup
			running.Go(func() { k.Run(stop) })
			change(k)
			close(stop)
			running.Wait()
			return nil
		}
	}
	report := func(status string) func(string) error {
		return do(func(k *Keeper) { k.Reported(statusOf(7, status)) })
	}
	durabletest.Cut(t, durabletest.Program{
		Steps: []func(string) error{
			do(func(k *Keeper) { k.Accepted([]byte(request)) }), report("Downloading"), report("Installing"), report("InstallationFailed"),
			do(func(k *Keeper) { k.Accepted([]byte(request)) }), report("InvalidSignature"),
		},
		Read: func(directory string) (string, error) {
			kept, _, err := read(filepath.Join(directory, "agent.update.json"))
			return fmt.Sprintf("running %t, flashing %t, report %s", kept.Running, kept.Flashing, kept.Report), err
		},
		Repeats: true,
	})
}

func TestKeeperTellsTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "", "")
		b.Accepted([]byte(request))
		b.says(7, "Downloading")
		b.says(7, "DownloadFailed")
		b.says(7, "Downloading")
		b.says(7, "DownloadFailed")
		b.says(9, "Installing") // what EVerest's System had rejected
		if !b.Flashing() {
			t.Error("the board is not flashing")
		}
		b.Reported([]byte(`{"firmware_update_status":5}`))
		b.says(9, "Installed")
		b.end()
		if want := []bool{true, false, true, false}; !slices.Equal(b.changes, want) {
			t.Errorf("changes %v, want %v", b.changes, want)
		}
		b.says(7, "Installing") // a process at its end waits for nobody
	})
}

func TestKeeperSetsAFileAsideThatItCannotRead(t *testing.T) {
	for _, content := range []string{
		"", "nonsense", `{"version":2,"manager":"m","running":true}`, `{"version":1,"report":{"log_status":"Uploaded"}}`,
		`{"version":1,"report":"` + string(make([]byte, maxFile)) + `"}`,
	} {
		path := filepath.Join(t.TempDir(), "agent.update.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		b := start(t, path, "m")
		if b.Running() || b.report != nil {
			t.Errorf("%.40q is taken for an update", content)
		}
		b.end()
		if _, err := os.Stat(path + ".unreadable"); err != nil {
			t.Error(err)
		}
	}
}

// TestBootReasonOfABoardThatHasResetItself: EVerest's System without a store resets its board after a signed update, and
// tells the reason PowerUp. A power cut, an unsigned update and what the board reports after its start tell no success.
func TestBootReasonOfABoardThatHasResetItself(t *testing.T) {
	const signed = `{"request_id":7,"signature":"c2ln","signing_certificate":"certificate"}`
	for _, test := range []struct {
		name, request string
		statuses      []string
		cut, asked    bool
		manager       string // of the next process
		reported      string // after the start
		reasons       []string
		want          []string
	}{
		{"a reset at the end of the installation", signed, []string{"Installing"}, false, false, "second", "", []string{"PowerUp", "PowerUp"}, []string{"FirmwareUpdate", "PowerUp"}},
		{"System knows the reason", signed, []string{"Installing"}, false, false, "second", "", []string{"RemoteReset", "PowerUp"}, []string{"RemoteReset", "PowerUp"}},
		{"a board that restarts to install", signed, []string{"InstallRebooting", "Installing"}, false, false, "second", "", []string{"PowerUp"}, []string{"PowerUp"}},
		{"a reset that somebody asked for", signed, []string{"Installing"}, false, true, "second", "", []string{"PowerUp"}, []string{"PowerUp"}},
		{"a power cut", signed, []string{"Installing"}, true, false, "second", "", []string{"PowerUp"}, []string{"PowerUp"}},
		{"the agent restarts alone", signed, []string{"Installing"}, false, false, "first", "", []string{"PowerUp"}, []string{"PowerUp"}},
		{"before the installation", signed, []string{"SignatureVerified"}, false, false, "second", "", []string{"PowerUp"}, []string{"PowerUp"}},
		{"after the end", signed, []string{"Installing", "InstallationFailed"}, false, false, "second", "", []string{"PowerUp"}, []string{"PowerUp"}},
		{"an unsigned update", request, []string{"Installing"}, false, false, "second", "", []string{"PowerUp"}, []string{"PowerUp"}},
		{"the board reports after its start", signed, []string{"Installing"}, false, false, "second", "InstallationFailed", []string{"PowerUp"}, []string{"PowerUp"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "update.json")
			first := start(t, path, "first")
			first.Accepted(json.RawMessage(test.request))
			for _, status := range test.statuses {
				first.says(7, status)
			}
			if test.asked {
				first.ResetAsked()
			}
			if first.end(); !test.cut {
				first.EndInOrder()
			}
			// A start at which nobody asks forgets nothing.
			again := start(t, path, test.manager)
			again.end()
			last := start(t, path, test.manager)
			defer last.end()
			if test.reported != "" {
				last.says(7, test.reported)
			}
			for i, reason := range test.reasons {
				if got := last.BootReason(reason); got != test.want[i] {
					t.Errorf("the boot reason %s is %s, want %s", reason, got, test.want[i])
				}
			}
		})
	}
}
