package systemtest

import (
	"cmp"
	"time"
)

// install writes the image.
func (b *Board) install(request Request) {
	if b.installing {
		b.report(request.ID, "InstallationFailed")
		return
	}
	// EVerest's System never takes this back, but for an unsigned update.
	b.installing = request.Signed || b.Kind != EVerest
	b.flashing = true
	b.report(request.ID, "Installing")
	b.after(cmp.Or(b.Installation, step), func() {
		b.flashing = false
		b.installed(request)
	})
}

func (b *Board) installed(request Request) {
	if b.Kind != EVerest {
		b.written = true
		b.report(request.ID, "InstallRebooting")
		b.after(time.Second, b.restart)
		return
	}
	b.Image = request.Image
	if b.Store {
		b.reason = "FirmwareUpdate"
	}
	switch {
	case !request.Signed:
		b.standard = false
		b.report(request.ID, "Installed")
	case b.ResetDelay == 0 && !b.Store:
		b.restart() // before the report has left
	default:
		// The call of the store gives the report its time on the board's own broker, and none on a link.
		b.report(request.ID, "Installed")
		b.after(b.ResetDelay, b.restart)
	}
}

// Reset takes reset.
func (b *Board) Reset() {
	if b.Kind == EVerest && b.Store && b.reason == "" {
		b.reason = "RemoteReset"
	}
	b.after(b.ResetDelay, b.restart)
}

// Crash is a crash or a power cut: what is not written is lost.
func (b *Board) Crash() { b.goDown(false) }

// restart ends all modules of the board in order.
func (b *Board) restart() { b.goDown(true) }

func (b *Board) goDown(inOrder bool) {
	b.life++
	b.inOrder = inOrder
	b.down, b.flashing, b.installing, b.standard, b.downloading, b.permitted, b.ready = true, false, false, false, nil, false, nil
	b.after(max(b.Boot, time.Second), b.boot)
}

// boot is the start of the board's software. A polite or a vendor's System goes on with its update.
func (b *Board) boot() {
	b.down = false
	if b.kept == nil {
		return
	}
	request := *b.kept
	if !b.written {
		b.download(request, step, 1)
		return
	}
	b.reason = "FirmwareUpdate"
	end := "InstallationFailed"
	if !b.FallsBack {
		end, b.Image = "Installed", request.Image
	}
	b.after(step, func() {
		b.kept, b.written = nil, false
		b.report(request.ID, end)
	})
}

// BootReason answers get_boot_reason, which forgets the reason.
func (b *Board) BootReason() string {
	reason := cmp.Or(b.reason, "PowerUp")
	b.reason = ""
	return reason
}
