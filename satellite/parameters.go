package satellite

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// agentParameters are the module's configuration keys.
type agentParameters struct {
	Port          int    `everest:"port"`
	ListenAddress string `everest:"listen_address"`
	Dialect       string `everest:"dialect,optional"`
	ControlSocket string `everest:"control_socket,optional"`
	Tunnel        string `everest:"tunnel,optional"`

	Security               string `everest:"security,optional"`
	IdentityDirectory      string `everest:"identity_directory,optional"`
	UnauthenticatedControl string `everest:"unauthenticated_control,optional"`
	// AnnounceInterfaces are the interfaces on which the board is announced.
	AnnounceInterfaces string `everest:"announce_interfaces,optional"`
	Serial             string `everest:"serial,optional"`
	// MaxPacket is 0 where the configuration is older.
	MaxPacket int `everest:"max_packet_bytes,optional"`
}

// controllerParameters are the module's configuration keys.
type controllerParameters struct {
	Hostname string `everest:"hostname"`
	Port     int    `everest:"port"`
	Dialect  string `everest:"dialect,optional"`
	Tunnel   string `everest:"tunnel,optional"`

	Security          string `everest:"security,optional"`
	IdentityDirectory string `everest:"identity_directory,optional"`
	SatelliteSerial   string `everest:"satellite_serial,optional"`

	OnLoss     string `everest:"on_loss,optional"`
	Identities string `everest:"identities,optional"`
	// CheckValues is nil where the configuration is older.
	CheckValues *bool `everest:"check_values,optional"`
	// StartTimeout is 0 for the default of OnLoss. LinkTimeout, ResumeWindow, OutageLimit,
	// SessionDeadline and CommandWait are 0 where the configuration is older.
	StartTimeout    int `everest:"start_timeout_s,optional"`
	LinkTimeout     int `everest:"link_timeout_ms,optional"`
	ResumeWindow    int `everest:"resume_window_s,optional"`
	OutageLimit     int `everest:"outage_limit_h,optional"`
	SessionDeadline int `everest:"session_deadline_s,optional"`
	CommandWait     int `everest:"command_wait_ms,optional"`
	// ClockTolerance is nil where the configuration is older.
	ClockTolerance *int   `everest:"satellite_clock_tolerance_s,optional"`
	ControlSocket  string `everest:"control_socket,optional"`
	// DiscoveryInterfaces are the interfaces on which a serial number is looked for.
	DiscoveryInterfaces string `everest:"discovery_interfaces,optional"`
	// MaxPacket is 0 where the configuration is older.
	MaxPacket int `everest:"max_packet_bytes,optional"`
}

// dialectsOf reads the configuration key dialect; empty is its default.
func dialectsOf(key string) (handshake.Dialects, error) {
	switch key {
	case "", "auto":
		return handshake.AnyDialect, nil
	case "legacy":
		return handshake.OnlyLegacy, nil
	case "v2":
		return handshake.OnlyV2, nil
	}
	return 0, fmt.Errorf("satellite: the configuration key dialect is %q: it must be auto, legacy or v2", key)
}

// onLossOf reads the configuration key on_loss; empty is its default.
func onLossOf(key string) (handshake.LossPolicy, error) {
	switch key {
	case "restart":
		return handshake.RestartOnLoss, nil
	case "isolate":
		return handshake.IsolateOnLoss, nil
	case "", "auto":
		return handshake.AutoOnLoss, nil
	}
	return 0, fmt.Errorf("satellite: the configuration key on_loss is %q: it must be auto, restart or isolate", key)
}

// translatesOf reads the configuration key identities; empty is its default.
func translatesOf(key string) (bool, error) {
	switch key {
	case "", "translate":
		return true, nil
	case "verbatim":
		return false, nil
	}
	return false, fmt.Errorf("satellite: the configuration key identities is %q: it must be translate or verbatim", key)
}

// checksValues reads the configuration key check_values; absent is its default.
func (p controllerParameters) checksValues() bool { return p.CheckValues == nil || *p.CheckValues }

// sessionDeadline returns how long a lost satellite has to come back before the end of its session is estimated. Within
// the default of five minutes a board restarts several times over, so that most ends are the true ones. A customer whose
// transaction is open cannot charge elsewhere with the same card, and should not wait longer.
func (p controllerParameters) sessionDeadline() time.Duration {
	return time.Duration(cmp.Or(p.SessionDeadline, 300)) * time.Second
}

// protocol adds the configuration keys to the values that the program has set.
func (p controllerParameters) protocol(config handshake.ControllerConfig) (handshake.ControllerConfig, error) {
	var err, err2 error
	config.Dialects, err = dialectsOf(p.Dialect)
	config.LossPolicy, err2 = onLossOf(p.OnLoss)
	// Who speaks nothing but legacy waits for a satellite that does.
	config.LegacyBefore = config.LegacyBefore || config.Dialects == handshake.OnlyLegacy
	if config.LossPolicy == handshake.IsolateOnLoss && config.Dialects == handshake.OnlyLegacy {
		err2 = errors.New("satellite: on_loss isolate needs link v2: set dialect to auto or v2")
	}
	if p.LinkTimeout > 0 && config.HeartbeatTimeout == 0 {
		config.HeartbeatTimeout = time.Duration(p.LinkTimeout) * time.Millisecond
	}
	if p.ResumeWindow > 0 && config.ResumeWindow == 0 {
		config.ResumeWindow = time.Duration(p.ResumeWindow) * time.Second
	}
	if p.StartTimeout > 0 && config.InitTimeout == 0 {
		config.InitTimeout = time.Duration(p.StartTimeout) * time.Second
	}
	if p.OutageLimit > 0 && config.OutageLimit == 0 {
		config.OutageLimit = time.Duration(p.OutageLimit) * time.Hour
	}
	if config.HeartbeatTimeout <= 0 {
		config.HeartbeatTimeout = 1500 * time.Millisecond
	}
	if config.ResumeWindow <= 0 {
		config.ResumeWindow = 30 * time.Second
	}
	return config, errors.Join(err, err2)
}
