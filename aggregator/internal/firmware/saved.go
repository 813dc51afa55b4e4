package firmware

import (
	"errors"
	"fmt"
)

// Saved is what must survive the main board's own reboot during an update. Its JSON is a file format.
type Saved struct {
	RequestID int64 `json:"request_id"`
	Signed    bool  `json:"signed"`
	// Published are the statuses that were published, in the order of their declaration. Announced is a stage.
	Published []Status     `json:"published"`
	Announced uint8        `json:"told"`
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
}

// ErrOtherStation: a saved update does not fit the station, for example because a satellite was added.
var ErrOtherStation = errors.New("firmware: the saved update is not of this station")

// Saved returns the update, and false when there is none.
func (m *Machine) Saved() (Saved, bool) {
	update := &m.current
	if update.state != running {
		return Saved{}, false
	}
	saved := Saved{
		RequestID: update.requestID, Signed: update.signed, Announced: uint8(update.announced),
		Failure: update.failure, Blamed: update.blamed,
		Allowed: update.allowed, SatellitesPermitted: update.satellitesPermitted, MainPermitted: update.mainPermitted,
	}
	for status := Idle; status <= InstallationFailed; status++ {
		if update.published&(1<<status) != 0 {
			saved.Published = append(saved.Published, status)
		}
	}
	for _, board := range update.boards {
		saved.Boards = append(saved.Boards, SavedBoard{Stage: uint8(board.stage), Rebooted: board.rebooted})
	}
	return saved, true
}

// Restore continues a saved update in a new machine, and returns what to do. Limits start anew. A board that was
// permitted to install and has not reported so is permitted once more: the permission may have been lost with the
// power. Restore returns an error and changes nothing where the update does not fit.
func (m *Machine) Restore(saved Saved) ([]Action, error) {
	m.actions = m.actions[:0]
	if len(saved.Boards) != len(m.current.boards) {
		return nil, fmt.Errorf("%w: it has %d boards, the station %d", ErrOtherStation, len(saved.Boards), len(m.current.boards))
	}
	if !saved.valid() {
		return nil, fmt.Errorf("%w: its values are out of range", ErrOtherStation)
	}
	update := &m.current
	update.start(running, saved.RequestID, saved.Signed)
	update.announced, update.failure, update.blamed = stage(saved.Announced), saved.Failure, saved.Blamed
	update.allowed = saved.Allowed
	update.satellitesPermitted, update.mainPermitted = saved.SatellitesPermitted, saved.MainPermitted
	for i, board := range saved.Boards {
		update.boards[i] = boardUpdate{response: ResponseAccepted, stage: stage(board.Stage), rebooted: board.Rebooted}
		permitted := update.satellitesPermitted && (i > 0 || update.mainPermitted)
		if permitted && update.failure == 0 && stage(board.Stage) < stageRebootingToInstall {
			m.do(&m.permits[i])
		}
	}
	for _, status := range saved.Published {
		update.published |= 1 << status
	}
	m.settle()
	return m.actions, nil
}

func (s *Saved) valid() bool {
	valid := s.Announced < uint8(stageInstalled) && s.Blamed >= 0 && s.Blamed <= len(s.Boards) &&
		(s.Failure == 0 || s.Failure.IsFailure())
	for _, board := range s.Boards {
		valid = valid && board.Stage <= uint8(stageInstalled)
	}
	for _, status := range s.Published {
		valid = valid && status >= Idle && status <= Installed
	}
	return valid
}
