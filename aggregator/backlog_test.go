package aggregator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// backlogHas waits until the file of the waiting statuses has a text, or is away for the empty text.
func (s *testStation) backlogHas(t testing.TB, text string) {
	t.Helper()
	testenv.Eventually(t, "the backlog has "+text, func() bool {
		content, err := os.ReadFile(filepath.Join(s.directory, "state", "aggregator.backlog.json"))
		if text == "" {
			return errors.Is(err, os.ErrNotExist)
		}
		return err == nil && strings.Contains(string(content), text)
	})
}

// TestBackendHearsTheEndAfterAReboot: the boards end an update while the main board starts, long before the backend accepts the
// station. A power cut in that time changes nothing.
func TestBackendHearsTheEndAfterAReboot(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		t.Parallel()
		s := newStationOn(t, broker, 2, nil)
		if answer := call[string](t, s.backend, "update_firmware", unsigned(7)); answer != "Accepted" {
			t.Fatal(answer)
		}
		for _, b := range s.boards {
			b.firmware(t, 7, "Downloading")
		}
		s.backend.expect(t, "7 Downloading")
		s.restartUnregistered(t)
		for _, status := range []string{"Downloaded", "Installing", "Installed"} {
			for _, b := range s.boards {
				b.firmware(t, 7, status)
			}
			s.backlogHas(t, status)
		}
		s.restartUnregistered(t)
		s.backend.tell(t, "is_connected", true)
		for _, answer := range []string{"Pending", "Rejected"} {
			s.backend.tell(t, "boot_notification_response", bootNotificationResponse(answer))
		}
		s.backend.register(t)
		s.backend.expect(t, "7 Downloaded", "7 Installing", "7 Installed")
		s.backlogHas(t, "")
		s.backend.quiet(t)
		if missed := s.backend.missed.Load(); missed > 0 {
			t.Errorf("OCPP has forgotten %d statuses", missed)
		}
	})
}

// TestOCPP16IsNotLeftWithAPendingUpdate: OCPP 1.6 that hears SignatureVerified, or Downloaded of a request without an id, and then Installed,
// takes all connectors out of service at the end of the next transaction.
func TestOCPP16IsNotLeftWithAPendingUpdate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		module string
		id     int
		ends   string
		want   []string
	}{
		"signed":        {"OCPP", 7, "Installed", []string{"7 Downloaded", "7 Installing", "7 Installed"}},
		"without an id": {"OCPPmulti", -1, "Installed", []string{"-1 Installing", "-1 Installed"}},
		"fails":         {"OCPP", 7, "InstallationFailed", []string{"7 Downloaded", "7 SignatureVerified", "7 Installing", "7 InstallationFailed"}},
		"OCPP 2.0.1":    {"OCPP201", 7, "Installed", []string{"7 Downloaded", "7 SignatureVerified", "7 Installing", "7 Installed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, 2, map[string]any{ocppModule: test.module})
			request := unsigned(test.id)
			if test.id >= 0 {
				request["firmware_update_request"].(map[string]any)["signature"] = "c2ln"
			}
			call[string](t, s.backend, "update_firmware", request)
			every := func(status string) { s.everyBoard(t, int64(test.id), status) }
			every("Downloading")
			s.backend.expect(t, fmt.Sprint(test.id, " Downloading"))
			s.backend.leave(t)
			s.waitLogged(t, "has ended: statuses wait", 1)
			for _, status := range []string{"Downloaded", "SignatureVerified", "Installing", test.ends} {
				every(status)
			}
			s.backlogHas(t, test.ends)
			s.backend.register(t)
			s.backend.expect(t, test.want...)
			s.backlogHas(t, "")
			s.backend.quiet(t)
		})
	}
}

// TestBackendHearsTheEndOfAnInterruptedUpload: the main board loses its power in an upload.
func TestBackendHearsTheEndOfAnInterruptedUpload(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, nil)
	sink := newSink(t)
	sink.hold = make(chan struct{})
	for _, b := range s.boards {
		b.sendsFile(t, "logs.txt", []byte("x"))
	}
	call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", map[string]any{"request_id": 5}))
	s.backend.expect(t, "5 Uploading")
	<-sink.arrived
	s.restartUnregistered(t)
	s.backlogHas(t, "UploadFailure")
	close(sink.hold)
	s.restartUnregistered(t)
	s.backend.register(t)
	s.backend.expect(t, "5 UploadFailure")
	s.backlogHas(t, "")
	s.backend.quiet(t)
}

// TestStatusesWaitForTheConnection: the backend is away for a while. OCPP does not register again after that.
func TestStatusesWaitForTheConnection(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, nil)
	call[string](t, s.backend, "update_firmware", unsigned(7))
	every := func(status string) { s.everyBoard(t, 7, status) }
	every("Downloading")
	s.backend.expect(t, "7 Downloading")
	s.backend.leave(t)
	s.waitLogged(t, "has ended: statuses wait", 1)
	every("Downloaded")
	s.backlogHas(t, "Downloaded")
	// The permission and the boards' commands do not wait.
	call[any](t, s.backend, "allow_firmware_installation", nil)
	for _, b := range s.boards {
		b.wasCalled(t, "update_firmware")
	}
	s.boards[1].wasCalled(t, "allow_firmware_installation")
	s.backend.hears.Store(true)
	s.backend.tell(t, "is_connected", true)
	s.backend.expect(t, "7 Downloaded")
	every("Installing")
	s.backend.expect(t, "7 Installing")
	s.backend.quiet(t)
}

// TestCommandOfTheBackendShowsThatItHears: the aggregator starts while OCPP runs, which publishes nothing new.
func TestCommandOfTheBackendShowsThatItHears(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, nil)
	call[string](t, s.backend, "update_firmware", unsigned(7))
	every := func(status string) { s.everyBoard(t, 7, status) }
	every("Downloading")
	s.backend.expect(t, "7 Downloading")
	s.restartAggregator(t)
	every("Downloaded")
	s.backlogHas(t, "Downloaded")
	s.backend.quiet(t)
	call[bool](t, s.backend, "set_system_time", map[string]any{"timestamp": "2026-11-27T12:00:00Z"})
	s.backend.expect(t, "7 Downloaded")
	// What OCPP says itself counts more.
	s.backend.leave(t)
	s.waitLogged(t, "has ended: statuses wait", 1)
	call[bool](t, s.backend, "set_system_time", map[string]any{"timestamp": "2026-11-27T12:00:00Z"})
	every("Installing")
	s.backlogHas(t, "Installing")
	s.backend.register(t)
	s.backend.expect(t, "7 Installing")
}

// TestWithoutTheRequirement: everything is passed on at once, and the log says what that means. EVerest before 2024.5 does not tell of
// BootNotification.
func TestWithoutTheRequirement(t *testing.T) {
	t.Parallel()
	without, _, _ := strings.Cut(string(manifest), "  ocpp:\n    interface: ocpp\n")
	_, end, _ := strings.Cut(string(manifest), "metadata:")
	old := installed(t, func(file string, content map[string]any) {
		if file == "interfaces/ocpp" {
			delete(content["vars"].(map[string]any), "boot_notification_response")
		}
	})
	for name, config := range map[string]map[string]any{
		"not connected": {aggregatorManifest: []byte(without + "metadata:" + end)}, "before 2024.5": {installedAt: old},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStation(t, 2, config)
			s.waitLogged(t, "QueueAllMessages", 1)
			call[string](t, s.backend, "update_firmware", unsigned(7))
			for _, b := range s.boards {
				b.firmware(t, 7, "Downloading")
			}
			s.backend.expect(t, "7 Downloading")
		})
	}
}

// TestWhatWaits: the same status waits once, a request keeps its order, and the end of a request makes room last.
func TestWhatWaits(t *testing.T) {
	var waiting []waitingStatus
	add := func(id int64, status string) bool {
		var added bool
		waiting, added = keep(waiting, waitingStatus{"firmware_update_status", report{RequestID: id, Firmware: status}})
		return added
	}
	got := []bool{
		add(-1, "Downloaded"), add(-1, "Downloaded"), add(-1, "DownloadFailed"), add(-1, "DownloadFailed"), add(-1, "Downloaded"), add(3, "Downloaded"),
		add(-1, "Installed"),
	}
	if diff := cmp.Diff([]bool{true, false, true, false, true, true, true}, got); diff != "" {
		t.Error(diff)
	}
	for id := int64(10); id < 60; id++ {
		add(id, "Downloading")
		add(id, "DownloadFailed")
	}
	ends := map[string]int{}
	for _, w := range waiting {
		ends[fmt.Sprint(w.RequestID, w.Firmware)]++
	}
	if len(waiting) != maxWaiting || ends["-1Installed"] != 1 || ends["-1DownloadFailed"] != 1 || ends["-1Downloaded"] != 0 || ends["59Downloading"] != 1 {
		t.Errorf("%d wait: %v", len(waiting), ends)
	}
	for id := int64(100); id < 400; id++ {
		add(id, "Installed")
	}
	if len(waiting) != maxWaiting || waiting[0].RequestID != 300 {
		t.Errorf("%d wait, from %v on", len(waiting), waiting[0])
	}
}
