package satellite_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// remoteSerial is in the environment of a satellite board's process, and
// remoteIdentity where its link is protected.
const (
	remoteSerial   = "SATELLITE_TEST_SERIAL"
	remoteIdentity = "SATELLITE_TEST_IDENTITY"
)

// TestRemoteBoard is a satellite board with a network of its own, which the tests
// below start and tell what to do.
func TestRemoteBoard(t *testing.T) {
	serial := os.Getenv(remoteSerial)
	if serial == "" {
		t.Skip("the process of a satellite board, which other tests start")
	}
	runIP(t, "link set lo up")
	answers := os.NewFile(3, "answers")
	keys := map[string]any{"listen_address": "", "announce_interfaces": "eth1", "serial": serial}
	if directory := os.Getenv(remoteIdentity); directory != "" {
		keys["security"], keys["identity_directory"] = "mutual-tls", directory
	}
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{port: 4129, keys: keys})
	answer := func(text string) { fmt.Fprintln(answers, text) }
	answer("ok")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "ip":
			if output, err := exec.Command("ip", strings.Fields(rest)...).CombinedOutput(); err != nil {
				answer(strings.ReplaceAll(err.Error()+string(output), "\n", " "))
				continue
			}
			answer("ok")
		case "status":
			text, err := json.Marshal(s.agent.Status())
			if err != nil {
				t.Error(err)
			}
			answer(string(text))
		case "publish":
			if err := s.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", rest); err != nil {
				t.Error(err)
			}
			answer("ok")
		}
	}
}

func runIP(t *testing.T, arguments string) {
	t.Helper()
	if output, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", arguments, err, output)
	}
}

// remoteBoard is a satellite board in a process of its own, on one of the main
// board's interfaces.
type remoteBoard struct {
	t       *testing.T
	command *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Scanner
	killed  bool
}

func startRemote(t *testing.T, serial string) *remoteBoard {
	t.Helper()
	return startRemoteProcess(t, "TestRemoteBoard", remoteSerial+"="+serial)
}

// startRemoteProcess starts a test that is another machine, with an environment.
func startRemoteProcess(t *testing.T, test string, environment ...string) *remoteBoard {
	t.Helper()
	b := &remoteBoard{t: t, command: exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.v")}
	b.command.Env = append(os.Environ(), environment...)
	b.command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	var output strings.Builder
	b.command.Stdout, b.command.Stderr = &output, &output
	in, err := b.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b.command.ExtraFiles = []*os.File{theirs}
	if err := b.command.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	b.in, b.answers = in, bufio.NewScanner(answers)
	t.Cleanup(func() {
		b.in.Close()
		if err := b.command.Wait(); err != nil && !b.killed {
			t.Errorf("the satellite's process: %v", err)
		}
		answers.Close()
		t.Logf("board:\n%s", output.String())
	})
	b.expectOK("start")
	return b
}

func (b *remoteBoard) expectOK(what string) {
	b.t.Helper()
	if !b.answers.Scan() || b.answers.Text() != "ok" {
		b.t.Fatalf("%s: %q", what, b.answers.Text())
	}
}

func (b *remoteBoard) tell(format string, arguments ...any) {
	b.t.Helper()
	fmt.Fprintf(b.in, format+"\n", arguments...)
	b.expectOK(fmt.Sprintf(format, arguments...))
}

func (b *remoteBoard) status() (status satellite.AgentStatus) {
	b.t.Helper()
	fmt.Fprintln(b.in, "status")
	if !b.answers.Scan() {
		b.t.Fatal("the satellite's process has ended")
	}
	if err := json.Unmarshal(b.answers.Bytes(), &status); err != nil {
		b.t.Fatal(err)
	}
	return status
}

func (b *remoteBoard) kill() {
	b.killed = true
	b.command.Process.Kill()
}

// plug connects the board's eth1 to the bridge of the main board.
func (b *remoteBoard) plug(name, address string) {
	b.t.Helper()
	runIP(b.t, fmt.Sprintf("link add %s type veth peer name eth1 netns %d", name, b.command.Process.Pid))
	runIP(b.t, "link set "+name+" master br1 up")
	b.tell("ip addr add %s/24 dev eth1", address)
	b.tell("ip link set eth1 up")
}

// makeBridge makes the interface on which the main board looks.
func makeBridge(t *testing.T) {
	t.Helper()
	runIP(t, "link add br1 type bridge")
	runIP(t, "addr add 10.9.0.1/24 dev br1")
	runIP(t, "link set br1 up")
}

// discovering is a main board that looks for a serial number on br1.
type discovering struct {
	*mainBoard
	ids    chan string
	faults chan everest.ErrorEvent
	// ambiguous counts the lines of the log that say so.
	ambiguous atomic.Int32
	security  *securityLines
}

func startDiscovering(t *testing.T, keys map[string]any) *discovering {
	t.Helper()
	d := &discovering{ids: make(chan string, 100), faults: make(chan everest.ErrorEvent, 100)}
	parameters := map[string]any{"hostname": "serial:ABC123", "discovery_interfaces": "br1", "port": 1}
	for key, value := range keys {
		parameters[key] = value
	}
	log, security := watched(t)
	d.security = security
	log = log.WithOptions(zap.Hooks(func(entry zapcore.Entry) error {
		if strings.HasPrefix(entry.Message, "the satellite is ambiguous") {
			d.ambiguous.Add(1)
		}
		return nil
	}))
	d.mainBoard = startMainWith(t, everesttest.NewBroker(t), 1, satellite.ControllerConfig{Logger: log}, parameters, func(s *standIn) {
		everest.Subscribe(s.module.Requires("evse_manager")[0], "evse_id", func(_ context.Context, id string) { d.ids <- id })
		s.module.Requires("satellite")[0].SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) { d.faults <- event })
	})
	return d
}

func (d *discovering) expectFault(subType string, raised bool) {
	d.t.Helper()
	event := receive(d.t, d.faults, "the fault "+subType)
	if event.Error.Type != "generic/CommunicationFault" || event.Error.SubType != subType || event.Raised != raised {
		d.t.Errorf("fault %s/%s raised %v, want sub type %q raised %v", event.Error.Type, event.Error.SubType, event.Raised, subType, raised)
	}
}

// remote asks where the satellite is.
func (d *discovering) remote(t *testing.T) string {
	t.Helper()
	address, err := everest.Call[string](t.Context(), d.required("satellite"), "get_remote_endpoint_address", nil)
	if err != nil {
		t.Error(err)
	}
	return address
}

func (d *discovering) connected() bool { return d.controller.Status().Connected }

// A satellite that is configured by its serial number is found when it comes,
// followed to another address, and found again after its board restarted.
func TestSatelliteIsFoundBySerial(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	d := startDiscovering(t, map[string]any{"on_loss": "isolate", "resume_window_s": 5})
	waitUntil(t, "the satellite is looked for", func() bool {
		status := d.controller.Status()
		return status.Satellite == "serial:ABC123" && status.Discovery == "not found"
	})
	makeBridge(t)
	board := startRemote(t, "ABC123")
	board.plug("m1", "10.9.0.11")
	d.waitReady()
	waitUntil(t, "the link stands", d.connected)
	board.tell("publish DE*1")
	if id := receive(t, d.ids, "the id"); id != "DE*1" {
		t.Errorf("id %s", id)
	}

	// One address more is no reason to touch the link.
	board.tell("ip addr add 10.9.0.12/24 dev eth1")
	waitUntil(t, "the second address is known", func() bool {
		boards := d.controller.Status().Boards
		return len(boards) == 1 && len(boards[0].Endpoints()) >= 2 && boards[0].Addresses[1].String() == "10.9.0.12"
	})
	board.tell("publish DE*2")
	receive(t, d.ids, "the id")
	if status := d.controller.Status(); status.Resumes != 0 || !status.Connected {
		t.Errorf("the link was disturbed: %+v", status)
	}

	// Another address is: the link is silent then, and goes on there.
	board.tell("ip addr flush dev eth1 scope global")
	board.tell("ip addr add 10.9.0.77/24 dev eth1")
	waitUntil(t, "the link is resumed", func() bool { return d.controller.Status().Resumes == 1 && d.connected() })
	board.tell("publish DE*3")
	if id := receive(t, d.ids, "the id"); id != "DE*3" {
		t.Errorf("id %s", id)
	}
	if address := d.remote(t); address != "10.9.0.77" {
		t.Errorf("the satellite is at %s, want 10.9.0.77", address)
	}

	// A board that was switched off and comes back elsewhere.
	board.kill()
	d.expectFault("", true)
	successor := startRemote(t, "ABC123")
	successor.plug("m2", "10.9.0.88")
	d.expectFault("", false)
	waitUntil(t, "the port is in service", d.connected)
	successor.tell("publish DE*4")
	if id := receive(t, d.ids, "the id"); id != "DE*4" {
		t.Errorf("id %s", id)
	}
}

// Two boards with one serial number: a link that stands goes on, also where it
// has to be resumed; a new one is not made.
func TestTwoBoardsWithOneSerial(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	makeBridge(t)
	d := startDiscovering(t, nil)
	first := startRemote(t, "ABC123")
	first.plug("m1", "10.9.0.11")
	d.waitReady()
	waitUntil(t, "the link stands", d.connected)

	second := startRemote(t, "ABC123")
	second.plug("m2", "10.9.0.22")
	d.expectFault("DuplicateSerial", true)
	if status := d.controller.Status(); status.Discovery != "ambiguous" || len(status.Boards) != 2 || !status.Connected || status.Resumes != 0 {
		t.Errorf("status with two boards: %+v", status)
	}
	first.tell("ip addr flush dev eth1 scope global")
	first.tell("ip addr add 10.9.0.12/24 dev eth1")
	waitUntil(t, "the link is resumed", func() bool { return d.controller.Status().Resumes == 1 && d.connected() })
	if address := d.remote(t); address != "10.9.0.12" {
		t.Errorf("the link goes on at %s, want 10.9.0.12", address)
	}
	if status := second.status(); status.Controller != "" {
		t.Errorf("the second board was spoken to from %s", status.Controller)
	}
	runIP(t, "link set m2 nomaster")
	d.expectFault("DuplicateSerial", false)
}

func TestAnAmbiguousSatelliteIsNotConnectedTo(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	boards := []*remoteBoard{startRemote(t, "ABC123"), startRemote(t, "ABC123"), startRemote(t, "OTHER")}
	makeBridge(t)
	for i, board := range boards {
		board.plug(fmt.Sprintf("m%d", i), fmt.Sprintf("10.9.0.%d", 11+i))
	}
	// A board announces itself until 3 s after its interface came up, and responds at
	// most once a second: all of them respond at once to a query after that.
	time.Sleep(5 * time.Second)
	d := startDiscovering(t, nil)
	waitUntil(t, "both boards have answered again", func() bool { return d.ambiguous.Load() > 0 })
	if status := d.controller.Status(); status.Discovery != "ambiguous" || len(status.Boards) != 2 || status.Connected {
		t.Errorf("status with two boards: %+v", status)
	}
	for i, board := range boards {
		if status := board.status(); status.Controller != "" {
			t.Errorf("board %d was connected to from %s", i, status.Controller)
		}
	}
	runIP(t, "link set m0 nomaster")
	d.waitReady()
	// Nobody could hear of it before.
	d.expectFault("DuplicateSerial", true)
	d.expectFault("DuplicateSerial", false)
	waitUntil(t, "the link stands", d.connected)
	if address := d.remote(t); address != "10.9.0.12" {
		t.Errorf("connected to %s, want the board that is left", address)
	}
}
