package handshake

import "time"

// AgentConfig parametrises an [Agent]. A duration of zero means its default,
// which is what the legacy modules use where they have it.
type AgentConfig struct {
	// Dialects says what the agent speaks. The default is legacy alone.
	Dialects Dialects
	// HasSystem says that the optional requirement "system" is connected:
	// the agent can reset its board. Without it the process ends instead.
	HasSystem bool
	// Silence is how long no poll may come before the controller counts as
	// lost. Default 60 s.
	Silence time.Duration
	// ResetDelay is the pause between the last answer and the reset, so that
	// the answer reaches the controller. Default 250 ms.
	ResetDelay time.Duration
	// Patience is how long the agent waits for the board to go down after a
	// reset was asked for. Default 60 s.
	Patience time.Duration
}

// ControllerConfig parametrises a [Controller]. A duration of zero means its
// default, which is what the legacy modules use where they have it.
type ControllerConfig struct {
	// Dialects says what the controller speaks. The default is legacy alone.
	Dialects Dialects
	// OnLoss says what a lost v2 peer means. The default is to restart.
	OnLoss OnLoss
	// Silence is how long link_events may be unanswered before the agent counts
	// as gone. Default 1.5 s.
	Silence time.Duration
	// Window is how long a v2 link that is gone may be resumed. Default 30 s.
	Window time.Duration
	// ResumeRetry replaces Retry while a link is resumed. Default 100 ms.
	ResumeRetry time.Duration
	// Hold is how long an absent satellite holds the start of a station whose
	// policy is to isolate. Default 30 s.
	Hold time.Duration
	// CallTimeout limits a connection attempt, i_am_here and i_am_ready, each
	// on its own. Default 5 s.
	CallTimeout time.Duration
	// Retry is the pause after a refused connection, a lost one during the
	// start, and an answer of a peer that is about to restart. Default 1 s.
	Retry time.Duration
	// PollPause is the time between an answer and the next poll. Default 25 ms.
	PollPause time.Duration
	// KeepAlive replaces PollPause until the own board is ready, so that a
	// board which takes long to start does not look dead. It must be shorter
	// than the peer's Silence. Default 20 s.
	KeepAlive time.Duration
	// AnswerTimeout limits the wait for a poll's answer. Default 30 s.
	AnswerTimeout time.Duration
	// Goodbye limits the wait for the answer to exit. Default 1 s.
	Goodbye time.Duration
	// ResetWindow is how long after a passed-on reset the loss of the link
	// counts as expected. Default 60 s.
	ResetWindow time.Duration
	// Absence is how long a board goes on without a peer that left as
	// expected before the process exits with status 1. It must be longer
	// than the own board may take to install firmware. Default 30 min.
	Absence time.Duration
}

func (c AgentConfig) withDefaults() AgentConfig {
	setDefault(&c.Silence, 60*time.Second)
	setDefault(&c.ResetDelay, 250*time.Millisecond)
	setDefault(&c.Patience, 60*time.Second)
	return c
}

func (c ControllerConfig) withDefaults() ControllerConfig {
	setDefault(&c.CallTimeout, 5*time.Second)
	setDefault(&c.Retry, time.Second)
	setDefault(&c.PollPause, 25*time.Millisecond)
	setDefault(&c.KeepAlive, 20*time.Second)
	setDefault(&c.AnswerTimeout, 30*time.Second)
	setDefault(&c.Goodbye, time.Second)
	setDefault(&c.ResetWindow, 60*time.Second)
	setDefault(&c.Absence, 30*time.Minute)
	setDefault(&c.Silence, 1500*time.Millisecond)
	setDefault(&c.Window, 30*time.Second)
	setDefault(&c.ResumeRetry, 100*time.Millisecond)
	setDefault(&c.Hold, 30*time.Second)
	return c
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}
