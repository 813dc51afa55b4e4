// Package reset orders the reset of a station: every satellite that is there, then a pause, then the main board, whose
// reset would interrupt the others. [Machine] is a pure machine; see package machine for the form of its events and
// actions.
//
//	reset  ->  Held        Hold   while a board is flashed       <- Flashing
//	           Looking     Look   for the satellites             <- Found
//	           Satellites  Call, highest number first            <- BoardDone, each
//	           Pausing     Pause                                 <- PauseEnded
//	           MainHeld    Hold   while a board is flashed       <- Flashing
//	           MainBoard   Call 0                                <- BoardDone
//	           Idle
//
// The machine promises, for every order of events:
//
//   - No board is reset while a board is flashed. The reset waits for the end of that.
//   - A satellite that is not found is not reset, now or later. One that refuses, or does not respond, does not keep the
//     others from their reset.
//   - A reset while one is in progress changes nothing.
package reset

// Machine is the reset of a station. It is not safe for concurrent use. The zero value is not usable; see [NewMachine].
type Machine struct {
	state    State
	flashing bool
	waiting  int
	called   []bool // and not done
}

// State is the state of a Machine.
type State uint8

// The states, in their order.
const (
	Idle State = iota
	Held
	Looking
	Satellites
	Pausing
	MainHeld
	MainBoard
)

// NewMachine returns a machine for boards boards. Board 0 is the main board.
func NewMachine(boards int) *Machine { return &Machine{called: make([]bool, boards)} }

// State returns the machine's state.
func (m *Machine) State() State { return m.state }

// Event is the input of a [Machine]. The set is closed.
type Event interface{ event() }

// Requested: reset was called.
type Requested struct{}

// Flashing: a board is being flashed from here on, or none is.
type Flashing struct{ Any bool }

// Found: these satellites are there and respond.
type Found struct{ Boards []int }

// BoardDone: a board responded to its reset, refused it, or did not respond in time.
type BoardDone struct{ Board int }

// PauseEnded: the pause has passed.
type PauseEnded struct{}

func (Requested) event()  {}
func (Flashing) event()   {}
func (Found) event()      {}
func (BoardDone) event()  {}
func (PauseEnded) event() {}

// Action is the output of a [Machine]. The set is closed.
type Action interface{ action() }

// Hold: log that the reset waits for the end of a board's installation.
type Hold struct{}

// Look: ask which satellites are there, and send Found.
type Look struct{}

// Call: call reset of a board, and send BoardDone.
type Call struct{ Board int }

// Pause: wait for the satellites to go down, and send PauseEnded.
type Pause struct{}

func (Hold) action()  {}
func (Look) action()  {}
func (*Call) action() {}
func (Pause) action() {}

// Step takes one event and returns what to do, in order.
func (m *Machine) Step(event Event) []Action {
	switch e := event.(type) {
	case Requested:
		if m.state == Idle {
			return m.look()
		}
	case Flashing:
		m.flashing = e.Any
		switch {
		case m.state == Held && !e.Any:
			return m.look()
		case m.state == MainHeld && !e.Any:
			return m.mainBoard()
		}
	case Found:
		if m.state == Looking {
			return m.satellites(e.Boards)
		}
	case BoardDone:
		return m.boardDone(e.Board)
	case PauseEnded:
		if m.state == Pausing {
			return m.mainBoard()
		}
	}
	return nil
}

func (m *Machine) look() []Action {
	if m.flashing {
		m.state = Held
		return []Action{Hold{}}
	}
	m.state = Looking
	return []Action{Look{}}
}

func (m *Machine) satellites(found []int) (actions []Action) {
	if m.flashing {
		return m.look()
	}
	clear(m.called)
	for _, board := range found {
		if board > 0 && board < len(m.called) {
			m.called[board] = true
		}
	}
	m.waiting = 0
	for board := len(m.called) - 1; board > 0; board-- {
		if m.called[board] {
			m.waiting++
			actions = append(actions, &Call{board})
		}
	}
	if m.waiting == 0 {
		return m.mainBoard()
	}
	m.state = Satellites
	return actions
}

func (m *Machine) boardDone(board int) []Action {
	switch {
	case board == 0 && m.state == MainBoard:
		m.state = Idle
	case board > 0 && board < len(m.called) && m.called[board] && m.state == Satellites:
		m.called[board] = false
		m.waiting--
		if m.waiting == 0 {
			m.state = Pausing
			return []Action{Pause{}}
		}
	}
	return nil
}

func (m *Machine) mainBoard() []Action {
	if m.flashing {
		m.state = MainHeld
		return []Action{Hold{}}
	}
	m.state = MainBoard
	return []Action{&Call{0}}
}
