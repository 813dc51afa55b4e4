package firmware

// Event is the input of a [Machine]. The set is closed.
type Event interface{ event() }

// Requested: update_firmware was called. Attempts is how often a board may try, 0 where the request does not say. Silent:
// no board has reported for so long that an installation in progress is taken for stuck.
type Requested struct {
	RequestID int64
	Signed    bool
	Attempts  int
	Silent    bool
}

// Responded: a board responded to the latest request. A board without a response in time counts as one with
// ResponseRejected. OldBootReason: the board's boot reason is a firmware update already now, however often it is asked.
type Responded struct {
	Board         int
	Response      Response
	OldBootReason bool
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

// WaitEnded: the time of the latest Wait for the board has passed.
type WaitEnded struct{ Board int }

// Booted: a board's boot reason is a firmware update. The shell asks for it while an update runs.
type Booted struct{ Board int }

// FlashLimitExpired: the limit of a board's installation has passed.
type FlashLimitExpired struct{ Board int }

// Away: a board cannot be reached. It may have restarted, and a System that continues counts its attempts anew.
type Away struct{ Board int }

// Restarted: a satellite has restarted. It may have lost the update.
type Restarted struct{ Board int }

// Back: a board can be reached again.
type Back struct{ Board int }

func (Requested) event()    {}
func (Responded) event()    {}
func (Reported) event()     {}
func (Allowed) event()      {}
func (LimitExpired) event() {}
func (WaitEnded) event()    {}
func (Booted) event()       {}

func (FlashLimitExpired) event() {}
func (Away) event()              {}
func (Back) event()              {}
func (Restarted) event()         {}

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

// Wait: give a board time for another report, in place of an earlier Wait for it. Send WaitEnded when it has passed.
type Wait struct {
	Board int
	For   Awaited
}

// StopWait: no longer wait for a report of the board.
type StopWait struct{ Board int }

// StopWaits: no longer wait for a report of any board.
type StopWaits struct{}

// Blame: log that a board makes the update fail. Status is its report, 0 where it was silent.
type Blame struct {
	Board  int
	Phase  Phase
	Status Status
}

// Apart: log that a board works on, or has installed, the firmware of a request that is not the station's: the request
// was refused by another board, or failed on one.
type Apart struct {
	Board     int
	RequestID int64
	Installed bool
}

// Flashing: a board is being flashed from here on, or no longer. Start its limit, or stop it.
type Flashing struct {
	Board int
	On    bool
}

// Save: make Saved durable before the next action, as it is after all actions of the step.
type Save struct{}

// Forget: remove what Save stored.
type Forget struct{}

func (Ask) action()         {}
func (*Reply) action()      {}
func (*Publish) action()    {}
func (*Permit) action()     {}
func (*StartLimit) action() {}
func (StopLimit) action()   {}
func (*Wait) action()       {}
func (*StopWait) action()   {}
func (StopWaits) action()   {}
func (*Blame) action()      {}
func (*Apart) action()      {}
func (*Flashing) action()   {}
func (Save) action()        {}
func (Forget) action()      {}
