package satellite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
)

// healthOf returns the health of a module in a state, and the problem as a sentence.
func healthOf(state handshake.State) (control.Health, string) {
	switch state {
	case handshake.Working:
		return control.Healthy, ""
	case handshake.Idle:
		return control.Starting, "The board's EVerest has not started the module yet."
	case handshake.Waiting, handshake.Met:
		return control.Starting, "No controller has agreed yet. Is the main board up, and does its controller's hostname and port name this board?"
	case handshake.Connecting, handshake.Announcing, handshake.Agreeing, handshake.Pausing, handshake.Greeting:
		return control.Starting, "The satellite has not agreed yet."
	case handshake.Agreed:
		return control.Starting, "Both boards have agreed. The other modules of this board are not ready yet."
	case handshake.Resuming:
		return control.Degraded, "The link is lost and may still be resumed."
	case handshake.OutOfService:
		return control.Degraded, "The satellite is lost. Its EVSE is out of service until it is back."
	case handshake.Parted:
		return control.Degraded, "The satellite has left as expected, for a reset or an update. Its EVSE is out of service until it is back."
	case handshake.Leaving, handshake.Resetting, handshake.Ended:
		return control.Degraded, "The module is about to end."
	}
	return control.Degraded, "The state is not one that this version knows."
}

// refusal is why there is no connection: the error, and what a person does about it, empty where nobody knows.
type refusal struct{ cause, advice string }

// advice returns what a person does about a satellite that cannot be connected to, in sentences. It is empty where the
// error says nothing about the cause.
func (c *Controller) advice(err error) string {
	if text := c.dialer.Advice(err); text != "" {
		return text
	}
	satellite := c.target.String()
	var name *net.DNSError
	switch {
	case errors.Is(err, discovery.ErrAmbiguous):
		return "Several boards announce this serial number: give each board one of its own."
	case errors.As(err, &name):
		return fmt.Sprintf("The name %s has no address here: correct hostname, or the names of this board's network.", name.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("The board at %s is there, but no agent listens: see whether its EVerest runs, and on which port.", satellite)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.ETIMEDOUT),
		errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return fmt.Sprintf("Nothing answers at %s: check the satellite's power, network cable and network switch, and the address in hostname.", satellite)
	case c.finder != nil && strings.HasPrefix(satellite, "serial:"):
		return fmt.Sprintf("No board announces itself as %s: check the satellite's power, network cable and network switch, and discovery_interfaces on both boards.", satellite)
	}
	return ""
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
