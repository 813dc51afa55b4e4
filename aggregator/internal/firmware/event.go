package firmware

// Event is the input of a [Machine]. The set is closed.
type Event interface{ event() }

// Requested: update_firmware was called.
type Requested struct {
	RequestID int64
	Signed    bool
}

// Responded: a board responded to the latest request. A board without a response in time counts as one with
// ResponseRejected.
type Responded struct {
	Board    int
	Response Response
}

// Reported: a board published firmware_update_status.
type Reported struct {
	Board     int
	RequestID int64
	Status    Status
}

// Allowed: allow_firmware_installation was called.
type Allowed struct{}

// LimitExpired: the limit of a phase has passed.
type LimitExpired struct{ Phase Phase }

func (Requested) event()    {}
func (Responded) event()    {}
func (Reported) event()     {}
func (Allowed) event()      {}
func (LimitExpired) event() {}

// Action is the output of a [Machine]. The set is closed. An action with fields is a pointer that is valid until the
// next Step.
type Action interface{ action() }

// Ask: forward the request to every board, and send Responded for each.
type Ask struct{}

// Reply: reply to the caller of update_firmware.
type Reply struct{ Response Response }

// Publish: publish firmware_update_status.
type Publish struct {
	RequestID int64
	Status    Status
}

// Permit: call allow_firmware_installation of a board.
type Permit struct{ Board int }

// StartLimit: start the limit of a phase, in place of an earlier one.
type StartLimit struct{ Phase Phase }

// StopLimit: stop the limit.
type StopLimit struct{}

// Blame: log that a board makes the update fail. Status is its report, 0 where it was silent.
type Blame struct {
	Board  int
	Phase  Phase
	Status Status
}

// LeftOver: log that a board works on a request that the station has refused.
type LeftOver struct{ Board int }

// Save: make Saved durable before the next action.
type Save struct{}

// Forget: remove what Save stored.
type Forget struct{}

func (Ask) action()         {}
func (*Reply) action()      {}
func (*Publish) action()    {}
func (*Permit) action()     {}
func (*StartLimit) action() {}
func (StopLimit) action()   {}
func (*Blame) action()      {}
func (*LeftOver) action()   {}
func (Save) action()        {}
func (Forget) action()      {}
