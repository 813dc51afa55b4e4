package aggregator

import (
	"errors"
	"fmt"
)

// FirmwareState is what must survive the main board's own reboot in the middle of an update. It is JSON of few lines.
type FirmwareState struct {
	RequestID int64 `json:"request_id"`
	Signed    bool  `json:"signed"`
	// Published are the statuses that the backend has been told, in OCPP's order of their declaration.
	Published []FirmwareStatus     `json:"published"`
	Told      uint8                `json:"told"`
	Boards    []FirmwareBoardState `json:"boards"`
	// Failure of a board that the station has not yet told, and that board.
	Failure FirmwareStatus `json:"failure,omitempty"`
	Blamed  int            `json:"blamed,omitempty"`
	// Allowed by the backend, and what of the permission has been passed on.
	Allowed             bool `json:"allowed"`
	SatellitesPermitted bool `json:"satellites_permitted"`
	MainPermitted       bool `json:"main_permitted"`
}

// FirmwareBoardState is one board's part of a FirmwareState.
type FirmwareBoardState struct {
	Stage    uint8 `json:"stage"`
	Rebooted bool  `json:"rebooted"`
}

// ErrOtherStation: a saved state does not fit the station, for instance because a satellite was added since.
var ErrOtherStation = errors.New("aggregator: the saved firmware state is not of this station")

// State is the update under way, and false when there is none.
func (m *FirmwareMerge) State() (FirmwareState, bool) {
	update := &m.current
	if !update.active {
		return FirmwareState{}, false
	}
	state := FirmwareState{
		RequestID: update.requestID, Signed: update.signed, Told: uint8(update.told),
		Failure: update.failure, Blamed: update.blamed,
		Allowed: update.allowed, SatellitesPermitted: update.satellitesPermitted, MainPermitted: update.mainPermitted,
	}
	for status := FirmwareIdle; status <= FirmwareInstallationFailed; status++ {
		if update.published&(1<<status) != 0 {
			state.Published = append(state.Published, status)
		}
	}
	for _, board := range update.boards {
		state.Boards = append(state.Boards, FirmwareBoardState{Stage: uint8(board.stage), Rebooted: board.rebooted})
	}
	return state, true
}

// Restore takes a saved update up again: limits start anew, and a board that was permitted to install but has not said
// that it does is permitted once more, because the permission may have been lost with the power. The merge must be
// fresh. A state that does not fit is an error and leaves the merge as it was.
func (m *FirmwareMerge) Restore(state FirmwareState) ([]FirmwareAction, error) {
	m.actions = m.actions[:0]
	if len(state.Boards) != len(m.current.boards) {
		return nil, fmt.Errorf("%w: it has %d boards, the station %d", ErrOtherStation, len(state.Boards), len(m.current.boards))
	}
	valid := state.Told < uint8(stageInstalled) && state.Blamed >= 0 && state.Blamed <= len(state.Boards) &&
		(state.Failure == 0 || state.Failure.IsFailure())
	for _, board := range state.Boards {
		valid = valid && board.Stage <= uint8(stageInstalled)
	}
	for _, status := range state.Published {
		valid = valid && status >= FirmwareIdle && status <= FirmwareInstalled
	}
	if !valid {
		return nil, fmt.Errorf("%w: it has values that no update has", ErrOtherStation)
	}
	update := &m.current
	update.start(state.RequestID, state.Signed)
	update.told, update.failure, update.blamed = stage(state.Told), state.Failure, state.Blamed
	update.allowed = state.Allowed
	update.satellitesPermitted, update.mainPermitted = state.SatellitesPermitted, state.MainPermitted
	for i, board := range state.Boards {
		update.boards[i] = boardUpdate{answer: UpdateAccepted, stage: stage(board.Stage), rebooted: board.Rebooted}
		permitted := update.satellitesPermitted && (i > 0 || update.mainPermitted)
		if permitted && update.failure == 0 && stage(board.Stage) < stageRebootingToInstall {
			m.do(FirmwareAction{Kind: FirmwareAllow, Board: i})
		}
	}
	for _, status := range state.Published {
		update.published |= 1 << status
	}
	m.settle()
	return m.actions, nil
}
