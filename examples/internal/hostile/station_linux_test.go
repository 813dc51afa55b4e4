package hostile

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
	"github.com/remotechargeport/remotechargeport/examples/internal/usage"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// patience is generous: it only ends a test that would hang.
const patience = 60 * time.Second

// The modules of the main board: the controller whose satellite lies, that of an honest one, and what calls both.
const (
	liarID   = "connector_2"
	honestID = "connector_3"
	callerID = "station"
	absentID = "absent"
)

const callerManifest = `
description: The main board's modules, all in one.
provides:
  auth: {interface: auth, description: Authorisation.}
requires:
  evse_manager: {interface: evse_manager, min_connections: 2, max_connections: 2}
  energy: {interface: energy, min_connections: 2, max_connections: 2}
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`

const absentManifest = `
description: A module that keeps the main board from being ready.
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`

const portManifest = `
description: A satellite board's modules, all in one.
provides:
  evse_manager: {interface: evse_manager, description: The charge port.}
  energy: {interface: energy, description: Its energy node.}
  uk_random_delay: {interface: uk_random_delay, description: Its randomised delay.}
  system: {interface: system, description: The board.}
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`

// station is a main board with two satellites, one of which lies. Its controllers are processes.
type station struct {
	t         *testing.T
	satellite *Satellite
	// controller is that of the satellite that lies, socket its status socket.
	controller *exec.Cmd
	socket     string
	// ended is closed when the controller has ended.
	ended   chan struct{}
	caller  *everest.Module
	arrived chan string
}

// options are what differs between stations.
type options struct {
	program        string
	legacy, secure bool
	// starting leaves a module of the main board away, so that it does not become ready.
	starting bool
}

func startStation(t *testing.T, o options) *station {
	t.Helper()
	folder := t.TempDir()
	s := &station{t: t, socket: filepath.Join(folder, "liar.sock"), ended: make(chan struct{}), arrived: make(chan string, 1000)}
	config := func(port int, socket string) map[string]any {
		return map[string]any{
			"hostname": "127.0.0.1", "port": port, "identities": "verbatim", "on_loss": "isolate", "control_socket": socket,
		}
	}
	var store *tls.Config
	secured := map[string]any{}
	if o.secure {
		liar, main := filepath.Join(folder, "liar"), filepath.Join(folder, "main")
		pair(t, liar, main)
		opened, err := identity.Open(liar, identity.Options{})
		if err != nil {
			t.Fatal(err)
		}
		store = opened.ServerTLS()
		secured["security"], secured["identity_directory"] = "mutual-tls", main
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.satellite = Serve(listener, store, o.legacy)
	t.Cleanup(s.satellite.Close)
	liar := config(listener.Addr().(*net.TCPAddr).Port, s.socket)
	for key, value := range secured {
		liar[key] = value
	}
	honest := config(startHonest(t), "none")
	// The machine is busy: only what the liar does counts.
	honest["link_timeout_ms"] = 20_000

	connections := func(implementation string) (to []everesttest.Connection) {
		for _, id := range []string{liarID, honestID} {
			to = append(to, everesttest.Connection{ModuleID: id, ImplementationID: implementation})
		}
		return to
	}
	manifest := satellite.ControllerInstallation().Manifest
	auth := map[string][]everesttest.Connection{"auth": board.To(callerID, "auth")}
	modules := map[string]everesttest.ModuleConfig{
		callerID: {Module: "Main", Manifest: []byte(callerManifest), Connections: map[string][]everesttest.Connection{
			"evse_manager": connections("evse_manager"), "energy": connections("energy"),
		}},
		liarID:   {Module: "SatelliteController", Manifest: manifest, Config: liar, Connections: auth},
		honestID: {Module: "SatelliteController", Manifest: manifest, Config: honest, Connections: auth},
	}
	if o.starting {
		modules[absentID] = everesttest.ModuleConfig{Module: "Absent", Manifest: []byte(absentManifest)}
	}
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	manager := everesttest.NewManager(t, everesttest.ManagerConfig{Broker: everesttest.NewBroker(t), Modules: modules, Definitions: known})
	s.startCaller(manager.Options(callerID))
	s.controller = startProgram(t, o.program, s.ended, manager.Arguments(liarID)...)
	startProgram(t, o.program, make(chan struct{}), manager.Arguments(honestID)...)
	if !o.starting {
		everesttest.WaitReady(t, manager)
	}
	return s
}

// startCaller starts the module that calls both charge ports.
func (s *station) startCaller(options everest.Options) {
	known, err := satellite.Definitions()
	if err != nil {
		s.t.Fatal(err)
	}
	everesttest.RunModule(s.t, options, func(module *everest.Module) {
		s.caller = module
		if err := standin.AnswerAll(known, module.Provides("auth"), standin.PlainAnswer); err != nil {
			s.t.Error(err)
		}
		module.Requires("evse_manager")[1].Subscribe("evse_id", func(_ context.Context, value json.RawMessage) {
			s.arrived <- string(value)
		})
	})
}

// startHonest starts the other satellite in this process, and returns its port.
func startHonest(t *testing.T) (port int) {
	port = everesttest.FreePort(t)
	manager := portBoard(t, map[string]any{"listen_address": "127.0.0.1", "port": port, "control_socket": "none"})
	agent := satellite.NewAgent(satellite.AgentConfig{Everest: manager.Options("agent")})
	everesttest.Run(t, "agent", agent.Run)
	return port
}

// portBoard starts a satellite's board without its agent, which it configures.
func portBoard(t *testing.T, agent map[string]any) *everesttest.Manager {
	t.Helper()
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	implementations := []string{"evse_manager", "energy", "uk_random_delay", "system"}
	connections := map[string][]everesttest.Connection{}
	for _, implementation := range implementations {
		connections[implementation] = board.To("port", implementation)
	}
	manager := everesttest.NewManager(t, everesttest.ManagerConfig{Broker: everesttest.NewBroker(t), Definitions: known, Modules: map[string]everesttest.ModuleConfig{
		"port":  {Module: "Port", Manifest: []byte(portManifest)},
		"agent": {Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest, Connections: connections, Config: agent},
	}})
	everesttest.RunModule(t, manager.Options("port"), func(module *everest.Module) {
		for _, implementation := range implementations {
			if err := standin.AnswerAll(known, module.Provides(implementation), answer); err != nil {
				t.Error(err)
			}
		}
	})
	return manager
}

func answer(command *schema.Command, arguments everest.Args) json.RawMessage {
	if command.Name == "get_evse" {
		return json.RawMessage(`{"connectors":[{"id":1,"type":"Unknown"}],"id":3}`)
	}
	return standin.PlainAnswer(command, arguments)
}

// startProgram starts a controller, and closes ended at its end.
func startProgram(t *testing.T, program string, ended chan struct{}, arguments ...string) *exec.Cmd {
	t.Helper()
	command := exec.Command(program, arguments...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(ended)
		_ = command.Wait()
	}()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = command.Process.Kill()
			<-ended
			t.Errorf("%v did not end within %v", arguments, patience)
		}
		if t.Failed() {
			written, _ := os.ReadFile(log.Name())
			t.Logf("the last it wrote:\n%s", written[max(0, len(written)-6000):])
		}
		log.Close()
	})
	return command
}

// pair creates identities in two folders, which trust each other.
func pair(t *testing.T, folders ...string) {
	t.Helper()
	var made []identity.Identity
	for _, folder := range folders {
		created, err := identity.Create(folder, identity.CreateOptions{Serial: filepath.Base(folder)})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, created)
	}
	for i, folder := range folders {
		other := made[1-i]
		trust := identity.Trust{Peers: []identity.Pin{{Serial: other.Serial, Fingerprint: identity.FingerprintOf(other.Leaf())}}}
		if err := trust.Save(folder); err != nil {
			t.Fatal(err)
		}
	}
}

// connected waits until the controller of the liar has a link, or has ended.
func (s *station) connected() {
	s.t.Helper()
	client := control.Dial(s.socket)
	defer client.Close()
	s.until("the link of the satellite that lied", func() bool {
		status, err := client.Status(s.t.Context())
		return err == nil && status.Link != nil && status.Link.Connected || s.isEnded()
	})
}

func (s *station) until(what string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// isEnded reports whether the controller of the liar has ended.
func (s *station) isEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// meter follows the memory of the controller of the liar, also up to its end.
type meter struct {
	station *station
	// idle, now and peak are in KiB.
	idle, now, peak int
}

// newMeter begins the peak anew.
func newMeter(s *station) *meter {
	m := &meter{station: s}
	m.read()
	m.idle, m.peak = m.now, m.now
	// Where that is not permitted the peak is that of the start as well, which is lower than what is looked for.
	_ = os.WriteFile(filepath.Join("/proc", strconv.Itoa(s.controller.Process.Pid), "clear_refs"), []byte("5"), 0)
	return m
}

func (m *meter) read() {
	// A process that ends has no memory.
	if used, err := usage.Of(m.station.controller.Process.Pid); err == nil && used.Resident > 0 {
		m.now, m.peak = used.Resident, max(m.peak, used.Peak)
	}
}

// run reads until the context ends.
func (m *meter) run(ctx context.Context) {
	for ticker := time.NewTicker(5 * time.Millisecond); ; {
		m.read()
		select {
		case <-ctx.Done():
			ticker.Stop()
			return
		case <-ticker.C:
		}
	}
}

// call calls a charge port.
func (s *station) call(ctx context.Context, evse int) error {
	return s.caller.Requires("evse_manager")[evse].Call(ctx, "get_evse", nil, nil)
}

// callLiar calls the charge port of the liar, several times at once, until the context ends.
func (s *station) callLiar(ctx context.Context, calling *sync.WaitGroup) {
	for range 3 {
		calling.Go(func() {
			for ctx.Err() == nil {
				limited, cancel := context.WithTimeout(ctx, time.Second)
				_ = s.call(limited, 0)
				cancel()
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
}

// callHonest calls the other charge port until the context ends, and returns the longest that took.
func (s *station) callHonest(ctx context.Context) (slowest time.Duration, err error) {
	for ctx.Err() == nil {
		began := time.Now()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		err := s.call(limited, 1)
		cancel()
		if err != nil {
			return slowest, fmt.Errorf("the other EVSE: %w", err)
		}
		slowest = max(slowest, time.Since(began))
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	if slowest == 0 {
		return 0, errors.New("the other EVSE was not called")
	}
	return slowest, nil
}
