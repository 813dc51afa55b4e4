package aggregator

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// restartAggregator ends the aggregator, starts it again, and waits for the next global ready.
func (s *testStation) restartAggregator(t testing.TB) {
	t.Helper()
	ready := s.manager.GlobalReadyCount()
	if err := s.aggregator.Stop(); err != nil {
		t.Error(err)
	}
	s.startAggregator()
	ctx, cancel := context.WithTimeout(t.Context(), everesttest.Patience)
	defer cancel()
	if err := s.manager.WaitGlobalReady(ctx, ready+1); err != nil {
		t.Fatal(err)
	}
}

// restartUnregistered restarts the main board, and the backend does not accept it yet.
func (s *testStation) restartUnregistered(t testing.TB) {
	t.Helper()
	s.backend.leave(t)
	s.restartAggregator(t)
}

// restartMainBoard restarts the main board, which the backend accepts again.
func (s *testStation) restartMainBoard(t testing.TB) {
	t.Helper()
	s.restartUnregistered(t)
	s.backend.register(t)
}

// everyBoard has each board report a status of an update.
func (s *testStation) everyBoard(t testing.TB, request int64, status string) {
	t.Helper()
	for _, b := range s.boards {
		b.firmware(t, request, status)
	}
}

func unsigned(id int) map[string]any {
	return map[string]any{"firmware_update_request": map[string]any{"request_id": id, "location": "ftp://x/", "retries": 1}}
}

// TestBootReasonTellsTheEndOfAnUpdate: the boards are reset so quickly that no report of their end arrives, and what
// System has written down before is all that is left. OCPP still gets the main board's boot reason.
func TestBootReasonTellsTheEndOfAnUpdate(t *testing.T) {
	t.Parallel()
	s := newStation(t, 3, nil)
	// An earlier update has left its reason on a satellite.
	s.boards[1].set(func(b *testBoard) { b.reason = bootedByUpdate })
	if answer := call[string](t, s.backend, "update_firmware", unsigned(7)); answer != "Accepted" {
		t.Fatal(answer)
	}
	for _, status := range []string{"Downloading", "Downloaded", "Installing"} {
		for _, b := range s.boards {
			b.firmware(t, 7, status)
		}
		s.backend.expect(t, "7 "+status)
	}
	s.boards[2].set(func(b *testBoard) { b.reason = bootedByUpdate })
	testenv.Eventually(t, "it is saved that a board has started after the update", func() bool {
		saved, err := os.ReadFile(filepath.Join(s.directory, "state", "aggregator.firmware.json"))
		return err == nil && strings.Contains(string(saved), `"booted":true`)
	})
	s.boards[0].set(func(b *testBoard) { b.reason = bootedByUpdate })
	s.restartMainBoard(t)
	s.boards[1].set(func(b *testBoard) { b.reason = bootedByUpdate })
	s.backend.expect(t, "7 Installed")
	if reason := call[string](t, s.backend, "get_boot_reason", nil); reason != bootedByUpdate {
		t.Errorf("OCPP is told the boot reason %s", reason)
	}
}

// TestMainBoardThatResetsItself: EVerest's System without a store resets its board at the end of a signed update before its
// report has left, and knows no boot reason. That all modules have ended in order is all that is left.
func TestMainBoardThatResetsItself(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, nil)
	if answer := call[string](t, s.backend, "update_firmware", map[string]any{"firmware_update_request": map[string]any{
		"request_id": 7, "location": "ftp://x/", "retries": 1, "signature": "c2ln", "signing_certificate": "certificate",
	}}); answer != "Accepted" {
		t.Fatal(answer)
	}
	for _, status := range []string{"Downloading", "Downloaded", "SignatureVerified", "Installing"} {
		for _, b := range s.boards {
			b.firmware(t, 7, status)
		}
		s.backend.expect(t, "7 "+status)
	}
	s.boards[1].firmware(t, 7, "Installed")
	testenv.Eventually(t, "the satellite's end is saved", func() bool {
		var saved savedFirmware
		content, err := os.ReadFile(filepath.Join(s.directory, "state", "aggregator.firmware.json"))
		return err == nil && json.Unmarshal(content, &saved) == nil && saved.Boards[1].Stage > saved.Boards[0].Stage
	})
	s.restartMainBoard(t)
	s.backend.expect(t, "7 Installed")
}

// TestAttemptsOfABoardThatWasAway: a board that restarts counts its attempts anew.
func TestAttemptsOfABoardThatWasAway(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, nil)
	request := unsigned(7)["firmware_update_request"].(map[string]any)
	request["retries"], request["retry_interval_s"] = 2, 100_000
	if answer := call[string](t, s.backend, "update_firmware", map[string]any{"firmware_update_request": request}); answer != "Accepted" {
		t.Fatal(answer)
	}
	for _, b := range s.boards {
		b.firmware(t, 7, "Downloading")
	}
	s.backend.expect(t, "7 Downloading")
	s.boards[1].firmware(t, 7, "DownloadFailed")
	s.boards[1].set(func(b *testBoard) { b.linked = false })
	s.waitLogged(t, "the link to a board is lost while it has work to do", 1)
	s.boards[1].set(func(b *testBoard) { b.linked = true })
	s.waitLogged(t, "the link to a board is back", 1)
	for _, status := range []string{"Downloading", "DownloadFailed", "Downloading", "Downloaded"} {
		s.boards[1].firmware(t, 7, status)
	}
	s.boards[0].firmware(t, 7, "Downloaded")
	s.backend.expect(t, "7 Downloaded")
}

// TestPermissionThatNeverComes: EVerest's OCPP201 gives none after a restart for an unsigned update.
func TestPermissionThatNeverComes(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, map[string]any{"firmware_installation_timeout": 10})
	ask := func(id int) string {
		return call[string](t, s.backend, "update_firmware", map[string]any{"firmware_update_request": map[string]any{"request_id": id, "location": "ftp://x/"}})
	}
	ask(7)
	for _, status := range []string{"Downloading", "Downloaded"} {
		for _, b := range s.boards {
			b.firmware(t, 7, status)
		}
		s.backend.expect(t, "7 "+status)
	}
	s.restartMainBoard(t)
	s.backend.expect(t, "7 Downloaded", "7 Installing", "7 InstallationFailed")
	s.waitLogged(t, "OCPP has not permitted the installation since the restart", 1)
	if answer := ask(8); answer != "Accepted" {
		t.Errorf("the next request is answered %s", answer)
	}
}

// TestSatelliteThatRestartsInItsDownload: its System has forgotten the request, and reports nothing more. The backend hears an end long
// before the limit of the download.
func TestSatelliteThatRestartsInItsDownload(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, nil)
	var asked atomic.Int32
	uptime := func(seconds float64) {
		asked.Store(0)
		s.boards[1].set(func(b *testBoard) {
			b.link = func(context.Context) (any, error) {
				asked.Add(1)
				return map[string]any{"connected": true, "uptime_s": seconds}, nil
			}
		})
	}
	uptime(1000)
	call[string](t, s.backend, "update_firmware", unsigned(7))
	for _, b := range s.boards {
		b.firmware(t, 7, "Downloading")
	}
	s.backend.expect(t, "7 Downloading")
	testenv.Eventually(t, "the satellite was looked at", func() bool { return asked.Load() > 1 })
	if s.logs.FilterMessageSnippet("a satellite has restarted").Len() > 0 {
		t.Error("a satellite that goes on counts as restarted")
	}
	s.boards[0].firmware(t, 7, "Downloaded")
	// It is away for longer than the pause between two looks.
	uptime(0)
	testenv.Eventually(t, "the satellite was looked at", func() bool { return asked.Load() > 2 })
	uptime(0.01)
	s.backend.expect(t, "7 DownloadFailed")
	s.waitLogged(t, "a satellite has restarted", 1)
}

// TestBootReasonThatIsKept: a board that has the boot reason of an earlier update, however often it is asked, tells nothing
// by it about the next one.
func TestBootReasonThatIsKept(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, nil)
	s.boards[1].set(func(b *testBoard) { b.reason, b.keeps = bootedByUpdate, true })
	call[string](t, s.backend, "update_firmware", unsigned(7))
	for _, b := range s.boards {
		b.firmware(t, 7, "Downloading")
	}
	s.backend.expect(t, "7 Downloading")
	asked := func() (count int) {
		s.boards[1].set(func(b *testBoard) { count = b.asked })
		return count
	}
	before := asked()
	testenv.Eventually(t, "the boards are looked at", func() bool { return asked() > before+5 })
	if lines := s.logs.FilterMessageSnippet("a board has started after a firmware update").All(); len(lines) > 0 {
		t.Errorf("an old boot reason counts: %v", lines)
	}
}

func TestLimitsOfThePhases(t *testing.T) {
	p := parameters{FirmwareDownloadTimeout: 1, FirmwareVerificationTimeout: 2, FirmwareInstallationTimeout: 3}
	for phase, want := range map[firmware.Phase]int{
		firmware.PhaseDownload: 1, firmware.PhaseVerify: 2, firmware.PhaseSatellites: 3, firmware.PhaseMain: 3, firmware.PhaseNoPermission: 3,
	} {
		if got := p.phaseTimeout(phase); got != want {
			t.Errorf("%v has %d s, want %d", phase, got, want)
		}
	}
}
