package satellite

import (
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

	OnLoss string `everest:"on_loss,optional"`
	// LinkTimeout and ResumeWindow are 0 where the configuration is older.
	LinkTimeout   int    `everest:"link_timeout_ms,optional"`
	ResumeWindow  int    `everest:"resume_window_s,optional"`
	ControlSocket string `everest:"control_socket,optional"`
	// DiscoveryInterfaces are the interfaces on which a serial number is looked for.
	DiscoveryInterfaces string `everest:"discovery_interfaces,optional"`
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
	case "", "restart":
		return handshake.RestartOnLoss, nil
	case "isolate":
		return handshake.IsolateOnLoss, nil
	}
	return 0, fmt.Errorf("satellite: the configuration key on_loss is %q: it must be restart or isolate", key)
}

// protocol adds the configuration keys to the values that the program has set.
func (p controllerParameters) protocol(config handshake.ControllerConfig) (handshake.ControllerConfig, error) {
	var err, err2 error
	config.Dialects, err = dialectsOf(p.Dialect)
	config.LossPolicy, err2 = onLossOf(p.OnLoss)
	if config.LossPolicy == handshake.IsolateOnLoss && config.Dialects == handshake.OnlyLegacy {
		err2 = errors.New("satellite: on_loss isolate needs link v2: set dialect to auto or v2")
	}
	if p.LinkTimeout > 0 && config.HeartbeatTimeout == 0 {
		config.HeartbeatTimeout = time.Duration(p.LinkTimeout) * time.Millisecond
	}
	if p.ResumeWindow > 0 && config.ResumeWindow == 0 {
		config.ResumeWindow = time.Duration(p.ResumeWindow) * time.Second
	}
	if config.HeartbeatTimeout <= 0 {
		config.HeartbeatTimeout = 1500 * time.Millisecond
	}
	if config.ResumeWindow <= 0 {
		config.ResumeWindow = 30 * time.Second
	}
	return config, errors.Join(err, err2)
}
