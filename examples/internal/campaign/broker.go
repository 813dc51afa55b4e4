//go:build linux

package campaign

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
)

// embeddedBroker is the environment variable that makes the program an MQTT broker on the UNIX socket that it names.
const embeddedBroker = "CAMPAIGN_BROKER"

// serveBroker is the life of the embedded broker's process.
func serveBroker(socket string) error {
	if _, err := everesttest.StartBroker(everesttest.BrokerConfig{SocketPath: socket}); err != nil {
		return err
	}
	select {} // until it is killed
}

// broker is a board's MQTT broker: a process that listens on a UNIX socket.
type broker struct {
	*process
	socket string
}

func (b *broker) address() everest.Broker { return everest.Broker{SocketPath: b.socket} }

// startBroker starts mosquitto, or the embedded broker if mosquitto is not installed or embedded is set.
// With persistent set, mosquitto stores its sessions when it ends in order.
func startBroker(ns namespace, name, folder string, embedded, persistent bool, line func(string)) (*broker, error) {
	b := &broker{socket: filepath.Join(folder, name+".sock")}
	// A killed broker leaves its socket.
	if err := os.Remove(b.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	program, err := everesttest.FindMosquitto()
	if embedded || err != nil {
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
		b.process, err = startProcess(ns, name, line, "/usr/bin/env", embeddedBroker+"="+b.socket, program)
	} else {
		file := filepath.Join(folder, name+".conf")
		// By default mosquitto drops messages for a module that is stopped.
		lines := []string{"allow_anonymous true", fmt.Sprint("persistence ", persistent), "max_queued_messages 0", "log_type error", "log_type warning", "listener 0 " + b.socket, "user root", ""}
		if persistent {
			store := filepath.Join(folder, name+".store")
			if err := os.MkdirAll(store, 0o700); err != nil {
				return nil, err
			}
			lines = append(lines, "persistence_location "+store+"/", "")
		}
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			return nil, err
		}
		b.process, err = startProcess(ns, name, line, program, "-c", file)
	}
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if conn, err := net.Dial("unix", b.socket); err == nil {
			return b, conn.Close()
		}
		select {
		case <-b.ended:
			return nil, fmt.Errorf("%s ended at its start: %w", name, b.err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil, fmt.Errorf("%s does not listen on %s", name, b.socket)
}

// frontOf returns what forwards the connection of a board's module to its broker.
func frontOf(folder, name string, broker func() *broker) (*forwarder.Forwarder, string, error) {
	socket := filepath.Join(folder, name+"-front.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, "", err
	}
	return forwarder.New(listener, func() (net.Conn, error) { return net.Dial("unix", broker().socket) }), socket, nil
}
