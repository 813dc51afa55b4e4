package firmware

import (
	"errors"
	"fmt"
)

// Saved is what must survive the main board's own reboot. Its JSON is a file format.
type Saved struct {
	// Over: no update is in progress, and of the rest only what the boards are counts.
	Over bool `json:"over,omitempty"`
	// Asking: the boards were being asked for the request AskedID.
	Asking  bool  `json:"asking,omitempty"`
	AskedID int64 `json:"asked_id,omitempty"`

	RequestID int64 `json:"request_id"`
	Signed    bool  `json:"signed"`
	// Attempts is how often a board may try, 0 where the request does not say.
	Attempts int `json:"attempts,omitempty"`
	// Published are the statuses that were published, in the order of their declaration.
	Published []Status     `json:"published"`
	Boards    []SavedBoard `json:"boards"`
	// Failure is the failure of a board that was not published yet; Blamed is that board's number plus one.
	Failure Status `json:"failure,omitempty"`
	Blamed  int    `json:"blamed,omitempty"`
	// Allowed is the backend's permission; the others are the permissions that were given to boards.
	Allowed             bool `json:"allowed"`
	SatellitesPermitted bool `json:"satellites_permitted"`
	MainPermitted       bool `json:"main_permitted"`
}

// SavedBoard is one board's part of a Saved.
type SavedBoard struct {
	Stage    uint8 `json:"stage"`
	Rebooted bool  `json:"rebooted"`
	// Failed is the last attempt's failure until the next one has begun. The number of attempts is not kept: in a loss of
	// power the boards have restarted too, and a System that continues counts anew.
	Failed Status `json:"failed,omitempty"`
	// Booted and OldBootReason are what the boot reason has told.
	Booted        bool `json:"booted,omitempty"`
	OldBootReason bool `json:"old_boot_reason,omitempty"`
	// Restarted: the satellite has restarted, and reported nothing since.
	Restarted bool `json:"restarted,omitempty"`
	// Flashing and Apart are of whatever request: FlashID is installed, and ApartID is that by which the board is apart from
	// the station.
	Flashing bool  `json:"flashing,omitempty"`
	FlashID  int64 `json:"flash_id,omitempty"`
	// FlashSigned: FlashID is known to be a signed request.
	FlashSigned bool  `json:"flash_signed,omitempty"`
	Apart       uint8 `json:"apart,omitempty"`
	ApartID     int64 `json:"apart_id,omitempty"`
}

// ErrOtherStation: a saved update does not fit the station, for example because a satellite was added.
var ErrOtherStation = errors.New("firmware: the saved update is not of this station")

// Saved returns what is to be kept, and false when that is nothing.
func (m *Machine) Saved() (saved Saved, any bool) {
	if !m.hasSomething() {
		return saved, false
	}
	update := &m.current
	saved.Over = update.state != running
	if !saved.Over {
		saved = Saved{
			RequestID: update.requestID, Signed: update.signed, Attempts: update.attempts,
			Failure: update.failure, Blamed: update.blamed,
			Allowed: update.allowed, SatellitesPermitted: update.satellitesPermitted, MainPermitted: update.mainPermitted,
		}
		for status := Idle; status <= InstallationFailed; status++ {
			if update.published&(1<<status) != 0 {
				saved.Published = append(saved.Published, status)
			}
		}
	}
	if m.next.state == asked {
		saved.Asking, saved.AskedID = true, m.next.requestID
	}
	for i, state := range m.states {
		board := SavedBoard{
			Flashing: state.flashing, FlashID: state.flashID, FlashSigned: state.flashSigned,
			Apart: uint8(state.apart), ApartID: state.apartID, OldBootReason: state.oldBootReason,
		}
		if !saved.Over {
			part := update.boards[i]
			board.Stage, board.Rebooted, board.Failed = uint8(part.stage), part.rebooted, part.failed
			board.Booted, board.OldBootReason, board.Restarted = part.booted, part.oldBootReason, part.restarted
		}
		saved.Boards = append(saved.Boards, board)
	}
	return saved, true
}

// Restore continues a saved update in a new machine, and returns what to do. Limits start anew. alone: the main board has not
// restarted, and its System has gone on. A board that was
// permitted to install and has not reported so is permitted once more: the permission may have been lost with the
// power. Restore returns an error and changes nothing where the update does not fit.
func (m *Machine) Restore(saved Saved, alone bool) ([]Action, error) {
	m.actions = m.actions[:0]
	if len(saved.Boards) != len(m.current.boards) {
		return nil, fmt.Errorf("%w: it has %d boards, the station %d", ErrOtherStation, len(saved.Boards), len(m.current.boards))
	}
	if !saved.valid() {
		return nil, fmt.Errorf("%w: its values are out of range", ErrOtherStation)
	}
	m.restoreBoards(saved, alone)
	if saved.Over {
		return m.actions, nil
	}
	update := &m.current
	update.start(running, Requested{RequestID: saved.RequestID, Signed: saved.Signed, Attempts: saved.Attempts})
	update.failure, update.blamed = saved.Failure, saved.Blamed
	update.restored, update.allowed = true, saved.Allowed
	update.satellitesPermitted, update.mainPermitted = saved.SatellitesPermitted, saved.MainPermitted
	for i, board := range saved.Boards {
		// While a board may try again nobody is permitted; then every board is.
		if board.Failed != 0 {
			update.satellitesPermitted, update.mainPermitted = false, false
		}
		update.boards[i] = boardUpdate{
			response: ResponseAccepted, stage: stage(board.Stage), rebooted: board.Rebooted, failed: board.Failed,
			booted: board.Booted, oldBootReason: board.OldBootReason, restarted: board.Restarted,
		}
	}
	if saved.Asking {
		// The boards may have given it up for a request to which nobody got an answer.
		for i := range update.boards {
			update.fail(i, update.nextPhase().failure())
		}
	}
	for i, board := range saved.Boards {
		update.takeUp(i, alone)
		permitted := update.satellitesPermitted && (i > 0 || update.mainPermitted)
		if permitted && update.failure == 0 && stage(board.Stage) < stageRebootingToInstall {
			m.do(&m.permits[i])
		}
	}
	for _, status := range saved.Published {
		update.published |= 1 << status
	}
	told := update.published
	m.awaitBoards()
	m.settle()
	m.askForPermission(told)
	return m.actions, nil
}

// askForPermission publishes the status once more for which the backend permits the installation, where the permission is
// missing: OCPP has restarted with the main board, and does not know that it owes one. told are the statuses that OCPP had
// before.
func (m *Machine) askForPermission(told uint32) {
	update := &m.current
	ready := update.imageReady()
	owed := update.announced >= ready && update.announced < stageRebootingToInstall && told&(1<<stagePoints[ready].status) != 0
	if update.state == running && !update.allowed && owed {
		m.do(m.publish.Put(Publish{RequestID: update.requestID, Status: stagePoints[ready].status}))
	}
}

// restoreBoards takes up what is known of the boards beyond the update. A main board that has restarted is not being
// flashed unless it went down for an update that it has not come to the end of.
func (m *Machine) restoreBoards(saved Saved, alone bool) {
	for i, board := range saved.Boards {
		state := &m.states[i]
		*state = boardState{
			flashing: board.Flashing, flashID: board.FlashID, flashSigned: board.FlashSigned,
			apart: apart(board.Apart), apartID: board.ApartID, oldBootReason: board.OldBootReason,
		}
		if i == 0 && saved.Over && !alone {
			state.flashing = false
		}
		if state.flashing {
			m.doFlashing(i)
		}
		m.doApart(i)
		if saved.Asking {
			m.setApart(i, saved.AskedID, apartWorking)
		}
	}
	m.keep()
}

func (s *Saved) valid() bool {
	valid := s.Blamed >= 0 && s.Blamed <= len(s.Boards) &&
		(s.Failure == 0 || s.Failure.IsFailure())
	for _, board := range s.Boards {
		valid = valid && board.Apart <= uint8(apartInstalled) && board.Stage <= uint8(stageInstalled) && (board.Failed == 0 || board.Failed.IsFailure())
	}
	for _, status := range s.Published {
		valid = valid && status >= Idle && status <= Installed
	}
	return valid
}
