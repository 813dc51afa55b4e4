package logs

// Event is the input of a [Machine]. The set is closed. Job is the number of a request, as Ask gives it.
type Event interface{ event() }

// Requested: upload_logs was called. RequestID is the caller's, NoRequestID without. BoardRequestID is the one that the
// boards get; it must not be that of another request in progress. Attempts is how often the upload is tried, at least
// once. Failure is an end status where it is known already that the location cannot be uploaded to, and 0 otherwise.
// BoardsTaken: the boards work for another log type, and must not be asked before TurnCame.
type Requested struct {
	RequestID      int64
	BoardRequestID int64
	Attempts       int
	Failure        Status
	BoardsTaken    bool
}

// TurnCame: the boards are free for the request.
type TurnCame struct{ Job int }

// Responded: a board responded to the request. A board without a response in time counts as one with ResponseRejected.
type Responded struct {
	Job, Board int
	Response   Response
}

// Reported: a board published log_status.
type Reported struct {
	Board          int
	BoardRequestID int64
	Status         Status
}

// WaitExpired: the limit of Wait has passed.
type WaitExpired struct{ Job int }

// Packed: the archive is complete, or Failure is the reason why it cannot be made.
type Packed struct {
	Job     int
	Failure Status
}

// UploadEnded: an attempt ended with Uploaded or a failure. Permanent: another attempt would fail the same way.
type UploadEnded struct {
	Job       int
	Status    Status
	Permanent bool
}

// PauseEnded: the pause before the next attempt has passed.
type PauseEnded struct{ Job int }

func (Requested) event()   {}
func (TurnCame) event()    {}
func (Responded) event()   {}
func (Reported) event()    {}
func (WaitExpired) event() {}
func (Packed) event()      {}
func (UploadEnded) event() {}
func (PauseEnded) event()  {}

// Action is the output of a [Machine]. The set is closed. An action is a pointer that is valid until the next Step.
type Action interface{ action() }

// Queue: keep the request, whose number is Job from now on, until the boards are free for it.
type Queue struct{ Job int }

// Ask: ask every board for its file, and send Responded for each. Job is the number of this request from now on.
type Ask struct{ Job int }

// Reply: reply to the caller of upload_logs.
type Reply struct {
	Job      int
	Response Response
}

// Publish: publish log_status.
type Publish struct {
	RequestID int64
	Status    Status
}

// Wait: start the limit of waiting for the boards.
type Wait struct{ Job int }

// Pack: make the archive of the files that have arrived.
type Pack struct{ Job int }

// Upload: make one attempt to upload the archive.
type Upload struct{ Job int }

// Pause: wait for the interval between two attempts.
type Pause struct{ Job int }

// Drop: end everything in progress for the job and remove its files. Nothing more is published of it.
type Drop struct{ Job int }

func (*Queue) action()   {}
func (*Ask) action()     {}
func (*Reply) action()   {}
func (*Publish) action() {}
func (*Wait) action()    {}
func (*Pack) action()    {}
func (*Upload) action()  {}
func (*Pause) action()   {}
func (*Drop) action()    {}
