// Package systemtest plays the System of a charging station's board in tests: EVerest's own, as its source and its
// behaviour on MQTT show it, a polite one, and a vendor's. A [Board] has no clock and no broker: a test gives it both.
package systemtest

import (
	"cmp"
	"time"
)

// Kind is whose System a board has.
type Kind uint8

const (
	// EVerest is EVerest's System. It reports each attempt to download, waits for no permission, writes the boot reason
	// into its store, if it has one, and resets its board ResetDelay after a signed update. It knows nothing of an update
	// after a restart.
	EVerest Kind = iota
	// Polite waits for the permission, and continues with its update after a restart.
	Polite
	// Vendor installs into another partition without waiting for a permission, restarts into it, and reports after the
	// boot how that ended.
	Vendor
)

// The times of EVerest's scripts.
const (
	step  = 2 * time.Second
	fetch = 4 * time.Second
)

// Request is the part of a FirmwareUpdateRequest that a board reads. Attempts is retries of the interface system, 0
// where the request has none.
type Request struct {
	ID       int64
	Image    int64 // what is at the location
	Signed   bool
	Attempts int
	Interval time.Duration
}

// Board is one board. The test sets the fields before the first call, and may change them between calls. Methods and the
// functions that are given to After run one at a time.
type Board struct {
	Kind Kind
	// ResetDelay and Store are EVerest's: the pause before a reset, and whether System has a store.
	ResetDelay time.Duration
	Store      bool
	// Stray: a first signed request is answered AcceptedCanceled, because its thread is quicker than the answer.
	Stray bool
	// FailingDownloads is how many of the next downloads fail. BadSignature and FallsBack are how an update ends.
	FailingDownloads        int
	BadSignature, FallsBack bool
	// Refusal answers the next request, if it is not empty. Mute boards report nothing.
	Refusal string
	Mute    bool
	// Installation is how long the image is written, 2 s where it is 0. Boot is how long a restart takes.
	Installation, Boot time.Duration

	// After calls a function later. Report publishes firmware_update_status.
	After  func(time.Duration, func())
	Report func(id int64, status string)

	// Image is what the board runs, 0 at first.
	Image int64

	life                  int // number of the restart; what an earlier life has begun is void
	inOrder               bool
	down                  bool
	flashing              bool
	downloading           *download
	standard              bool // EVerest's name for an unsigned update
	installing, permitted bool
	ready                 *Request // waits for the permission
	reason                string
	// kept is what survives a restart of a polite or a vendor's System.
	kept    *Request
	written bool // the other partition has the image of kept
}

// download is one request's download. A later request takes its place when its script has come to its next line.
type download struct{ later *Request }

// Flashing reports whether the image is being written: a reset now leaves the board with its old image at best.
func (b *Board) Flashing() bool { return b.flashing }

// Busy reports whether the board still works on an update.
func (b *Board) Busy() bool {
	return b.downloading != nil || b.standard || b.flashing || b.kept != nil || b.down
}

// Waits reports whether the board waits for the permission to install.
func (b *Board) Waits() bool { return b.ready != nil }

// Down reports whether the board is in its restart, and answers nothing.
func (b *Board) Down() bool { return b.down }

// Life is the number of the board's restarts: what it has not sent before one is lost.
func (b *Board) Life() int { return b.life }

// EndedInOrder reports whether the modules of the board have ended in order before its latest restart, and not in a crash.
func (b *Board) EndedInOrder() bool { return b.inOrder }

// after calls fn unless the board restarts before.
func (b *Board) after(wait time.Duration, fn func()) {
	life := b.life
	b.After(wait, func() {
		if b.life == life {
			fn()
		}
	})
}

func (b *Board) report(id int64, status string) {
	if !b.Mute {
		b.Report(id, status)
	}
}

// Update answers update_firmware.
func (b *Board) Update(request Request) string {
	if refusal := b.Refusal; refusal != "" {
		b.Refusal = ""
		return refusal
	}
	if b.Kind == EVerest && !request.Signed {
		return b.updateUnsigned(request)
	}
	answer := "Accepted"
	switch {
	case b.downloading != nil:
		if b.Kind != EVerest {
			b.kept = &request
		}
		b.downloading.later = &request
		return "AcceptedCanceled"
	case b.installing:
		answer = "Rejected"
		if b.Kind != EVerest {
			return answer
		}
	case b.Stray && b.Kind == EVerest:
		answer = "AcceptedCanceled"
	}
	if b.Kind != EVerest {
		b.kept, b.ready, b.permitted = &request, nil, false
	}
	// EVerest's System downloads also what it has rejected.
	b.download(request, step, 1)
	return answer
}

// updateUnsigned is EVerest's "standard" update: it takes one at a time, and resets nothing at its end.
func (b *Board) updateUnsigned(request Request) string {
	if b.standard {
		return "Rejected"
	}
	b.standard = true
	b.download(request, 0, 1)
	return "Accepted"
}

// download makes one attempt.
func (b *Board) download(request Request, pause time.Duration, attempt int) {
	mine := &download{}
	if request.Signed || b.Kind != EVerest {
		b.downloading = mine
	}
	b.after(pause, func() {
		b.report(request.ID, "Downloading")
		if b.replaced(mine) {
			return
		}
		b.after(fetch, func() { b.downloaded(request, mine, attempt) })
	})
}

// replaced begins with a later request, if there is one.
func (b *Board) replaced(mine *download) bool {
	if mine.later == nil {
		return false
	}
	b.download(*mine.later, step, 1)
	return true
}

func (b *Board) downloaded(request Request, mine *download, attempt int) {
	failed := b.FailingDownloads > 0
	if failed {
		b.FailingDownloads--
		b.report(request.ID, "DownloadFailed")
	} else {
		b.report(request.ID, "Downloaded")
	}
	switch {
	case b.replaced(mine):
		return
	case failed && attempt < cmp.Or(request.Attempts, 1):
		b.after(request.Interval, func() {
			if !b.replaced(mine) {
				b.download(request, step, attempt+1)
			}
		})
		return
	}
	if b.downloading == mine {
		b.downloading = nil
	}
	if failed {
		b.kept = nil
		b.standard = b.standard && request.Signed
		return
	}
	if request.Signed {
		if b.BadSignature {
			b.kept = nil
			b.report(request.ID, "InvalidSignature")
			return
		}
		b.report(request.ID, "SignatureVerified")
	} else if b.Kind == EVerest {
		b.after(step, func() { b.install(request) })
		return
	}
	if b.Kind == Polite && !b.permitted {
		b.ready = &request
		return
	}
	b.install(request)
}

// Allow takes allow_firmware_installation.
func (b *Board) Allow() {
	if b.Kind != Polite || b.down {
		return
	}
	b.permitted = true
	if b.ready != nil {
		request := *b.ready
		b.ready = nil
		b.install(request)
	}
}
