// Package reset orders the reset of a station: every satellite, then a pause, then the main board, whose reset would
// interrupt the others. [Machine] is a pure machine; see package machine for the form of its events and actions.
//
//	reset  ->  Satellites   Call, highest number first   <- BoardDone, each
//	           Pausing      Pause                         <- PauseEnded
//	           MainBoard    Call 0                        <- BoardDone
//	           Idle
//
// The machine promises that a satellite which refuses, or does not respond, does not keep the others from their reset.
// A reset while one is in progress changes nothing.
package reset

// Machine is the reset of a station. It is not safe for concurrent use. The zero value is not usable; see [NewMachine].
type Machine struct {
	state   State
	waiting int
	done    []bool
}

// State is the state of a Machine.
type State uint8

// The states, in their order.
const (
	Idle State = iota
	Satellites
	Pausing
	MainBoard
)

// NewMachine returns a machine for boards boards. Board 0 is the main board.
func NewMachine(boards int) *Machine { return &Machine{done: make([]bool, boards)} }

// State returns the machine's state.
func (m *Machine) State() State { return m.state }

// Event is the input of a [Machine]. The set is closed.
type Event interface{ event() }

// Requested: reset was called.
type Requested struct{}

// BoardDone: a board responded to its reset, refused it, or did not respond in time.
type BoardDone struct{ Board int }

// PauseEnded: the pause has passed.
type PauseEnded struct{}

func (Requested) event()  {}
func (BoardDone) event()  {}
func (PauseEnded) event() {}

// Action is the output of a [Machine]. The set is closed.
type Action interface{ action() }

// Call: call reset of a board, and send BoardDone.
type Call struct{ Board int }

// Pause: wait for the satellites to go down, and send PauseEnded.
type Pause struct{}

func (*Call) action() {}
func (Pause) action() {}

// Step takes one event and returns what to do, in order.
func (m *Machine) Step(event Event) []Action {
	switch e := event.(type) {
	case Requested:
		if m.state == Idle {
			return m.begin()
		}
	case BoardDone:
		return m.boardDone(e.Board)
	case PauseEnded:
		if m.state == Pausing {
			m.state = MainBoard
			return []Action{&Call{0}}
		}
	}
	return nil
}

func (m *Machine) begin() (actions []Action) {
	clear(m.done)
	m.waiting = len(m.done) - 1
	if m.waiting == 0 {
		m.state = MainBoard
		return []Action{&Call{0}}
	}
	m.state = Satellites
	for board := m.waiting; board > 0; board-- {
		actions = append(actions, &Call{board})
	}
	return actions
}

func (m *Machine) boardDone(board int) []Action {
	switch {
	case board < 0 || board >= len(m.done) || m.done[board]:
	case board == 0 && m.state == MainBoard:
		m.state = Idle
	case board > 0 && m.state == Satellites:
		m.done[board] = true
		m.waiting--
		if m.waiting == 0 {
			m.state = Pausing
			return []Action{Pause{}}
		}
	}
	return nil
}
