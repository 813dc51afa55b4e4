package handshake

import "time"

// Dialect is the language of a link.
type Dialect uint8

const (
	// Legacy is the dialect of the C++ modules, described in doc/link.md.
	Legacy Dialect = iota
	// V2 is the dialect of two Go modules, described in doc/link-v2.md. A v2 link survives the loss of its connection.
	V2
)

// Name returns the dialect's name in announcements, the configuration and the JSON of the status socket.
func (d Dialect) Name() string { return name([]string{"legacy", "v2"}, int(d), "Dialect") }

// String returns Name.
func (d Dialect) String() string { return d.Name() }

// Dialects is the set of dialects that a side speaks.
type Dialects uint8

const (
	// OnlyLegacy neither calls nor offers link_hello.
	OnlyLegacy Dialects = iota
	// AnyDialect speaks v2 with a peer that speaks it, and legacy with any other.
	AnyDialect
	// OnlyV2 refuses a legacy peer.
	OnlyV2
)

// LossPolicy is what a controller does when a v2 peer is lost for good. When a legacy peer is lost unexpectedly, the
// controller's process ends under either policy.
type LossPolicy uint8

const (
	// RestartOnLoss ends the process, so that both boards restart together.
	RestartOnLoss LossPolicy = iota
	// IsolateOnLoss takes the port out of service until the link is resumed, or a satellite agrees anew.
	IsolateOnLoss
	// AutoOnLoss is IsolateOnLoss, but it waits for an absent satellite at the start like RestartOnLoss where
	// [ControllerConfig.LegacyBefore] is set.
	AutoOnLoss
)

// AgentConfig configures an [Agent]. A duration of zero means the default. Where the legacy modules have the same
// setting, its default is their value.
type AgentConfig struct {
	// Dialects is what the agent speaks. The default is [OnlyLegacy].
	Dialects Dialects
	// HasSystem means that the optional requirement "system" is connected, so that the agent can reset its board. An
	// agent without a system ends its process instead.
	HasSystem bool
	// AsksReset means that the shell decides whether the board is reset: the agent returns [AskReset] first. While it waits
	// for [ResetAnswered] allowing it, the agent serves on.
	AsksReset bool
	// HeartbeatTimeout is how long the agent waits for the next legacy poll before the controller counts as lost.
	// Default 60 s.
	HeartbeatTimeout time.Duration
	// ResetDelay is the pause between the last reply and the reset, so that the reply reaches the controller. Default
	// 250 ms.
	ResetDelay time.Duration
	// ResetTimeout is how long the board may take to go down after it was asked to reset. Default 60 s.
	ResetTimeout time.Duration
	// OneStepWait is how long a call of i_am_ready waits for an i_am_here. Then it is the whole handshake of a controller
	// of 2024.3, which has no i_am_here. Default 1 s.
	OneStepWait time.Duration
	// DrainTime is how long after a resumption of the link a full journal is no sign of a lost controller. The journal
	// drops its oldest events meanwhile. Default 60 s.
	DrainTime time.Duration
}

// ControllerConfig configures a [Controller]. A duration of zero means the default. Where the legacy modules have the
// same setting, its default is their value.
type ControllerConfig struct {
	// Dialects is what the controller speaks. The default is [OnlyLegacy].
	Dialects Dialects
	// LossPolicy is what follows the loss of a v2 peer. The default is [RestartOnLoss].
	LossPolicy LossPolicy
	// HeartbeatTimeout is how long the controller waits for the next reply to link_events before the connection counts
	// as lost. Default 1.5 s.
	HeartbeatTimeout time.Duration
	// ResumeWindow is how long a v2 link without a connection keeps the port in service. Then LossPolicy applies.
	// Default 30 s.
	ResumeWindow time.Duration
	// LegacyBefore means that the satellite spoke legacy when an earlier process of this controller agreed with it last.
	// Only [AutoOnLoss] uses it.
	LegacyBefore bool
	// InstallingBefore means that a legacy satellite was installing firmware when an earlier process of this controller
	// heard of it last. i_am_here would reset its board. It waits until the satellite has restarted, or for FirmwareEnded.
	InstallingBefore bool
	// OutageLimit is how long an agent keeps its link without a connection where LossPolicy is not [RestartOnLoss]. The
	// link may be resumed until then, and the agent then restarts its board. With RestartOnLoss the agent waits for
	// ResumeWindow alone. Default 12 h.
	OutageLimit time.Duration
	// ResumeRetry replaces Retry while a link is resumed. Default 100 ms.
	ResumeRetry time.Duration
	// InitTimeout is how long an absent satellite delays the station's start. The port is then isolated until a
	// satellite agrees. The default is no limit with the policy [RestartOnLoss], and where [AutoOnLoss] waits like it,
	// else 30 s.
	InitTimeout time.Duration
	// CallTimeout limits a connection attempt, link_hello, i_am_here and i_am_ready, each on its own. Default 5 s.
	CallTimeout time.Duration
	// Retry is the pause before the controller connects again. It applies after a refused connection, after a failure
	// during the start, and when the agent is about to restart. Default 1 s.
	Retry time.Duration
	// PollPause is the time between a reply and the next poll. Default 25 ms.
	PollPause time.Duration
	// KeepAlive replaces PollPause until this board is ready. Such a poll shows the agent that a controller with a slow
	// start is not lost. KeepAlive must be shorter than the agent's HeartbeatTimeout. Default 20 s.
	KeepAlive time.Duration
	// ReplyTimeout limits the wait for the reply of a poll. Default 30 s.
	ReplyTimeout time.Duration
	// ExitTimeout limits the wait for the reply of exit. Default 1 s.
	ExitTimeout time.Duration
	// ResetWindow is the time after a forwarded reset in which the controller expects to lose the link. Default 60 s.
	ResetWindow time.Duration
	// Absence is how long a board continues after an expected loss before the process exits with status 1, unless an
	// agent agrees before. It must be longer than a board may take to install firmware. Default 30 min.
	Absence time.Duration
}

// isolates reports whether the loss of a v2 peer isolates the port.
func (c ControllerConfig) isolates() bool { return c.LossPolicy != RestartOnLoss }

// KeepLink returns how long the agent keeps a v2 link without a connection. The controller sends it in link_hello.
func (c ControllerConfig) KeepLink() time.Duration {
	c = c.withDefaults()
	if c.isolates() {
		return max(c.ResumeWindow, c.OutageLimit)
	}
	return c.ResumeWindow
}

func (c AgentConfig) withDefaults() AgentConfig {
	setDefault(&c.HeartbeatTimeout, 60*time.Second)
	setDefault(&c.ResetDelay, 250*time.Millisecond)
	setDefault(&c.ResetTimeout, 60*time.Second)
	setDefault(&c.OneStepWait, time.Second)
	setDefault(&c.DrainTime, 60*time.Second)
	return c
}

func (c ControllerConfig) withDefaults() ControllerConfig {
	setDefault(&c.HeartbeatTimeout, 1500*time.Millisecond)
	setDefault(&c.ResumeWindow, 30*time.Second)
	setDefault(&c.ResumeRetry, 100*time.Millisecond)
	setDefault(&c.OutageLimit, 12*time.Hour)
	if c.LossPolicy == IsolateOnLoss || c.LossPolicy == AutoOnLoss && !c.LegacyBefore {
		setDefault(&c.InitTimeout, 30*time.Second)
	}
	setDefault(&c.CallTimeout, 5*time.Second)
	setDefault(&c.Retry, time.Second)
	setDefault(&c.PollPause, 25*time.Millisecond)
	setDefault(&c.KeepAlive, 20*time.Second)
	setDefault(&c.ReplyTimeout, 30*time.Second)
	setDefault(&c.ExitTimeout, time.Second)
	setDefault(&c.ResetWindow, 60*time.Second)
	setDefault(&c.Absence, 30*time.Minute)
	return c
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}
