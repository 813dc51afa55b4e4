package scenario

import (
	"maps"
	"slices"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/systemtest"
)

// ResetDelay0 is the name of a scenario that takes more than a minute.
const ResetDelay0 = "firmware-reset-delay-0"

// manySatellites is how many satellites a station may have.
const manySatellites = 64

// Names returns the names of all scenarios.
func Names() []string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(stories)), func(name string) bool { return name == Boards })
	return append([]string{Logs, Firmware, Reset, Boards}, names...)
}

// updated is an update in which something happens, and which succeeds on all boards.
func updated(board boards, happens ...step) story {
	steps := append([]step{request(7, 1, "Accepted")}, happens...)
	return story{board: board, steps: append(steps, end("Installed"), images(everyBoard))}
}

// failed is an update of two attempts that fails. Boards that do not wait for the others have the image.
func failed(board boards, want string, has func(int) bool) story {
	return story{board: board, steps: []step{request(7, 2, "Accepted"), end(want), images(has)}}
}

// quick is a story that the tests play also without -long.
func quick(s story) story { s.quick = true; return s }

// stories are the scenarios with boards that really go down and come back.
var stories = join(updateStories, phaseStories(), resetStories, logStories)

func join(parts ...map[string]story) map[string]story {
	joined := map[string]story{}
	for _, part := range parts {
		maps.Copy(joined, part)
	}
	return joined
}

var updateStories = map[string]story{
	"firmware-everest": quick(updated(everestBoard)),
	"firmware-polite":  quick(updated(politeBoard)),
	"firmware-vendor":  quick(updated(vendorBoard)),
	ResetDelay0:        updated(resetDelay0),
	// UpdateFirmware of OCPP 1.6 has no id, and its image no signature.
	"firmware-unsigned": quick(story{board: politeBoard, version: ocppframes.OCPP16, steps: []step{
		request(-1, 1, "Accepted"), end("Installed"), images(everyBoard),
	}}),
	"firmware-unsigned-everest": {board: everestBoard, version: ocppframes.OCPP16, steps: []step{
		settled, request(-1, 1, "Accepted"), end("Installed"), images(everyBoard),
	}},
	"firmware-unsigned-vendor": {board: vendorBoard, version: ocppframes.OCPP16, steps: []step{
		settled, request(-1, 1, "Accepted"), end("Installed"), images(everyBoard),
	}},
	// One download fails, and the second attempt works.
	"firmware-retry": quick(story{board: with(everestBoard, 1, failsOnce), steps: []step{
		request(7, 2, "Accepted"), end("Installed"), images(everyBoard),
	}}),
	// The main board fails. EVerest's satellites do not wait for it: they install, restart, and are back in service.
	"firmware-main-fails":      quick(failed(with(everestBoard, 0, failsTwice), "DownloadFailed", allBut(0))),
	"firmware-satellite-fails": failed(with(everestBoard, 1, failsTwice), "DownloadFailed", allBut(1)),
	// A slow satellite. The main board of a polite System waits for it, that of a vendor's restarts meanwhile.
	"firmware-slow-satellite":        updated(with(politeBoard, 1, takesAMinute)),
	"firmware-slow-satellite-vendor": updated(with(vendorBoard, 1, takesAMinute)),
	// A satellite falls back to its old image.
	"firmware-fall-back": quick(story{board: with(vendorBoard, 1, fallsBack), steps: []step{
		request(7, 1, "Accepted"), end("InstallationFailed"), images(allBut(1)),
	}}),
	// The main board crashes while the satellites are being flashed. Nobody resets them.
	"firmware-main-crashes": quick(updated(with(each(vendorBoard, takesAMinute), 0, polite), reports("Installing"), cut(0))),

	// A board refuses. The next request is not disturbed by the boards that have begun with the first.
	"firmware-refused": {board: with(politeBoard, 1, refuses), steps: []step{
		request(7, 1, "InvalidCertificate"), images(noBoard), request(8, 1, "Accepted"), end("Installed"), images(everyBoard),
	}},
	"firmware-away": {board: awayFor(politeBoard), steps: []step{
		cut(1), away, request(7, 1, "Rejected"), inService, request(8, 1, "Accepted"), end("Installed"), images(everyBoard),
	}},
	// OCPP cancels by another request, which comes in the pause between two attempts.
	"firmware-cancelled": {board: each(politeBoard, failsOnce), pause: 20 * time.Second, steps: []step{
		request(7, 2, "Accepted"), reports("DownloadFailed"), request(8, 2, "AcceptedCanceled"), end("Installed"), images(everyBoard),
	}},
	"firmware-replaced": {board: politeBoard, steps: []step{
		request(7, 1, "Accepted"), reports("Downloading"), request(8, 1, "AcceptedCanceled"), end("Installed"), images(everyBoard),
	}},
	"firmware-two-requests": {board: politeBoard, steps: []step{requestBoth(7, 8), end("Installed"), images(everyBoard)}},
	// A satellite never reports. The limit of the download ends the update, and the next request is taken.
	"firmware-never-reports": {board: with(politeBoard, 1, mute), keys: map[string]any{"firmware_download_timeout": 10}, steps: []step{
		request(7, 1, "Accepted"), end("DownloadFailed"), request(8, 1, "Accepted"), end("DownloadFailed"), images(noBoard),
	}},
	// A satellite never reports, and its boot reason shows its image.
	"firmware-boot-reason": updated(with(everestBoard, 1, mute)),
	"firmware-64":          {board: politeBoard, satellites: manySatellites, steps: updated(politeBoard).steps},
}

func polite(b *systemtest.Board) { *b = politeBoard(0) }

// phaseStories are updates in which something happens in each phase: the power of all boards is cut, satellite1 goes away
// and comes back, or the station is reset.
func phaseStories() map[string]story {
	found := map[string]story{}
	for _, system := range []struct {
		name  string
		board boards
	}{{"", politeBoard}, {"-vendor", vendorBoard}} {
		for name, status := range map[string]string{
			"downloading": "Downloading", "verified": "SignatureVerified", "installing": "Installing", "rebooting": "InstallRebooting", "installed": "Installed",
		} {
			found["firmware-power-cut-"+name+system.name] = updated(system.board, reports(status), cutAll)
			found["firmware-away-"+name+system.name] = updated(awayFor(system.board), reports(status), cut(1))
		}
		// Boards are being flashed: the reset is not allowed, and none of them is reset.
		found["firmware-reset-installing"+system.name] = updated(each(system.board, takesAMinute), shown("Installing"), reset("Soft", false))
		slowMain := with(system.board, 0, takesAMinute)
		found["firmware-reset-rebooting"+system.name] = updated(slowMain, shown("InstallRebooting"), reset("Soft", false))
		found["firmware-reset-installed"+system.name] = updated(slowMain, shown("Installed"), reset("Soft", false))
	}
	// A polite System waits for the permission, and a vendor's installs at once.
	found["firmware-reset-downloading"] = updated(politeBoard, shown("Downloading"), reset("Soft", true))
	found["firmware-reset-verified"] = updated(politeBoard, shown("SignatureVerified"), reset("Soft", true))
	const cutInTheInstallation = "firmware-power-cut-installing"
	found[cutInTheInstallation] = quick(found[cutInTheInstallation])
	return found
}

var resetStories = map[string]story{
	Boards:                quick(story{board: quickBoard, steps: []step{resetBoard(byDataTransfer)}}),
	"boards-satctl":       quick(story{board: quickBoard, satctl: true, steps: []step{resetBoard(bySatctl)}}),
	"reset-hard":          quick(story{board: everestBoard, steps: []step{reset("Hard", true), resets("Hard")}}),
	"reset-away":          {board: awayFor(everestBoard), steps: []step{cut(1), away, reset("Soft", true), resets("Soft", 1)}},
	"reset-hard-away":     {board: awayFor(everestBoard), steps: []step{cut(1), away, reset("Hard", true), resets("Hard", 1)}},
	"reset-silent":        {board: everestBoard, steps: []step{silence, reset("Soft", true), resets("Soft", 1)}},
	"reset-hard-silent":   {board: everestBoard, steps: []step{silence, reset("Hard", true), resets("Hard", 1)}},
	"reset-hard-flashing": updated(each(politeBoard, takesAMinute), shown("Installing"), reset("Hard", false)),
	"reset-64":            {board: everestBoard, satellites: manySatellites, steps: []step{reset("Soft", true), resets("Soft")}},
}

var logStories = map[string]story{
	// retries of the interface system is the number of attempts.
	"logs-retry": {logs: true, quick: true, board: politeBoard, puts: []put{fail}, steps: []step{
		getLog(41, "DiagnosticsLog", 2), logEnd(41, "Uploaded"), uploadAttempts(2),
	}},
	"logs-no-retry": {logs: true, board: politeBoard, puts: []put{fail}, steps: []step{
		getLog(41, "DiagnosticsLog", 0), logEnd(41, "UploadFailure"), uploadAttempts(1),
	}},
	"logs-fail": {logs: true, board: politeBoard, puts: []put{fail, fail, fail, fail}, steps: []step{
		getLog(41, "SecurityLog", 4), logEnd(41, "UploadFailure"), uploadAttempts(4), getLog(42, "SecurityLog", 4), logEnd(42, "Uploaded"),
	}},
	"logs-both-types": {logs: true, board: politeBoard, steps: []step{
		getLog(41, "DiagnosticsLog", 1), getLog(42, "SecurityLog", 1), logEnd(41, "Uploaded"), logEnd(42, "Uploaded"), uploadAttempts(2),
	}},
	// GetDiagnostics of OCPP 1.6: one fails, and the next one works.
	"logs-diagnostics": {logs: true, quick: true, board: politeBoard, version: ocppframes.OCPP16, puts: []put{fail}, steps: []step{
		getLog(diagnostics, "", 1), logEnd(diagnostics, "UploadFailure"), getLog(diagnostics, "", 1), logEnd(diagnostics, "Uploaded"), uploadAttempts(2),
	}},
	// The main board restarts during the upload.
	"logs-reboot": {logs: true, board: politeBoard, puts: []put{hold}, steps: []step{
		getLog(41, "DiagnosticsLog", 4), held, cut(0), logEnd(41, "UploadFailure"), inService,
		getLog(42, "DiagnosticsLog", 1), logEnd(42, "Uploaded"), uploadAttempts(2),
	}},
}
