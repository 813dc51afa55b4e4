package rpc

// The reasons for which a session ends, as OnSessionEnd gets them.
var (
	ErrIdle    = errIdle
	ErrStalled = errStalled
)
