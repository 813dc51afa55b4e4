package aggregator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

const (
	boardManifest = `
description: stand-in for a board's system module and its link
metadata: {license: "https://example.org", authors: [test]}
provides:
  main: {interface: system, description: the board's system}
  satellite: {interface: satellite, description: the board's link}
`
	backendManifest = `
description: stand-in for OCPP
metadata: {license: "https://example.org", authors: [test]}
provides:
  ocpp_generic: {interface: ocpp, description: what OCPP tells of its backend}
requires:
  system: {interface: system}
  data_transfer: {interface: ocpp_data_transfer, min_connections: 0}
  acme_delay: {interface: uk_random_delay, min_connections: 0}
`
)

func testDefinitions(t testing.TB) *schema.Definitions {
	t.Helper()
	known, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"satellite": satelliteInterface, ocpp: []byte(ocppInterface)} {
		if known, err = known.WithInterface(name, content); err != nil {
			t.Fatal(err)
		}
	}
	return known
}

// testStation is a station of simulated boards, an aggregator, and something that plays OCPP's part.
type testStation struct {
	t          testing.TB
	manager    *everesttest.Manager
	boards     []*testBoard
	aggregator *everesttest.Process
	backend    *testBackend
	logs       *observer.ObservedLogs
	patient    bool
	hooks      hook.Hooks
	unit       time.Duration // of the aggregator
	logged     chan struct{} // gets a value when a line was logged
	config     map[string]any
	directory  string
	spawnedBy  string // the run of the manager that starts the aggregator, empty for a standalone one
	prefix     string // of the installation, empty for the built-in definitions
	log        *zap.Logger
}

// testBoard is one board. Its fields are its replies.
type testBoard struct {
	index  int
	module *everest.Module

	mu      sync.Mutex
	calls   []string
	update  string // answer to update_firmware
	logs    func(ctx context.Context, request map[string]any) (any, error)
	yes     bool
	reason  string        // boot reason that was not asked for yet
	keeps   bool          // the board keeps its boot reason, however often it is asked
	silence chan struct{} // no command returns until it is closed
	address string
	remote  string
	linked  bool
	// question is called when the board is asked whether it may be reset, before it answers.
	question func()
	// asked is how often the controller was asked whether it has a link.
	asked int
	// reset gets the arguments of a reset.
	reset func(arguments everest.Args)
	// link answers get_link_status.
	link func(ctx context.Context) (any, error)
	// called gets every command.
	called chan string
}

func (b *testBoard) set(change func(*testBoard)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func (b *testBoard) beSilent() {
	b.set(func(b *testBoard) { b.silence = make(chan struct{}) })
}

func (b *testBoard) speak() {
	b.set(func(b *testBoard) { close(b.silence); b.silence = nil })
}

// answer handles a command of the board.
func (b *testBoard) answer(ctx context.Context, command string, arguments everest.Args) (any, error) {
	b.mu.Lock()
	question, reset := b.question, b.reset
	b.mu.Unlock()
	switch {
	case command == "is_reset_allowed" && question != nil:
		question()
	case command == "reset" && reset != nil:
		reset(arguments)
	}
	b.mu.Lock()
	b.calls = append(b.calls, command)
	silence, update, logs, yes := b.silence, b.update, b.logs, b.yes
	b.mu.Unlock()
	if command != "get_boot_reason" {
		b.called <- command
	}
	if silence != nil {
		select {
		case <-silence:
		case <-ctx.Done():
		}
		return nil, everest.ErrClosed
	}
	switch command {
	case "update_firmware":
		return update, nil
	case "upload_logs":
		var request map[string]any
		if err := arguments.Decode("upload_logs_request", &request); err != nil {
			return nil, err
		}
		return logs(ctx, request)
	case configureNetwork:
		return map[string]any{"status": "Ready", "interface_address": "wwan0"}, nil
	case "is_reset_allowed", "set_system_time":
		return yes, nil
	case "get_boot_reason":
		b.mu.Lock()
		defer b.mu.Unlock()
		reason := cmp.Or(b.reason, map[bool]string{true: "PowerUp", false: "Watchdog"}[b.index == 0])
		if !b.keeps {
			b.reason = "" // as EVerest's System does
		}
		return reason, nil
	}
	return nil, nil
}

func (b *testBoard) firmware(t testing.TB, id int64, status string) {
	t.Helper()
	if err := b.module.Provides("main").Publish(t.Context(), "firmware_update_status", report{RequestID: id, Firmware: status}); err != nil {
		t.Fatal(err)
	}
}

func (b *testBoard) report(ctx context.Context, id any, status string) error {
	return b.module.Provides("main").Publish(ctx, "log_status", map[string]any{"request_id": id, "log_status": status})
}

// testBackend receives what the station publishes, as OCPP does: it forgets what it gets while the backend is not connected or has not
// accepted the station.
type testBackend struct {
	module *everest.Module
	heard  chan string
	hears  atomic.Bool
	// missed counts what it has forgotten.
	missed atomic.Int32
	// network gets what the station publishes as configure_network_status.
	network chan map[string]any
}

// tell publishes what OCPP knows of its backend.
func (b *testBackend) tell(t testing.TB, variable string, value any) {
	t.Helper()
	if err := b.module.Provides("ocpp_generic").Publish(t.Context(), variable, value); err != nil {
		t.Fatal(err)
	}
}

// leave ends the connection, and register has a backend accept the station over a new one.
func (b *testBackend) leave(t testing.TB) {
	t.Helper()
	b.hears.Store(false)
	b.tell(t, "is_connected", false)
}

func (b *testBackend) register(t testing.TB) {
	t.Helper()
	b.tell(t, "is_connected", true)
	b.hears.Store(true)
	b.tell(t, "boot_notification_response", bootNotificationResponse("Accepted"))
}

func bootNotificationResponse(status string) map[string]any {
	return map[string]any{"status": status, "current_time": "2026-11-27T12:00:00Z", "interval": 300}
}

func (b *testBackend) system() *everest.Required { return b.module.Requires("system")[0] }

func (b *testBackend) expect(t testing.TB, statuses ...string) {
	t.Helper()
	for _, want := range statuses {
		select {
		case got := <-b.heard:
			if got != want {
				t.Fatalf("the backend heard %q, want %q", got, want)
			}
		case <-time.After(everesttest.Patience):
			t.Fatalf("the backend did not hear %q", want)
		}
	}
}

func (b *testBackend) quiet(t testing.TB) {
	t.Helper()
	select {
	case got := <-b.heard:
		t.Errorf("the backend heard %q", got)
	default:
	}
}

func call[R any](t testing.TB, b *testBackend, command string, arguments any) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), everesttest.Patience)
	defer cancel()
	result, err := everest.Call[R](ctx, b.system(), command, arguments)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return result
}

// newStation starts a station on an embedded broker; config are the aggregator's keys.
func newStation(t testing.TB, boards int, config map[string]any) *testStation {
	t.Helper()
	return newStationOn(t, everesttest.NewBroker(t), boards, config)
}

// patient is the key of a station that asks the boards strictly one after the other, however long they take.
const patient = "patient"

// sharedEVSE is the key of a station whose satellites all stand for EVSE 2.
const sharedEVSE = "shared EVSE"

// ocppModule is the key of a station whose backend is reached by that module of EVerest: OCPP, OCPP201 or OCPPmulti.
const ocppModule = "ocpp module"

// installedAt is the key of a station whose EVerest is installed at a prefix, with definitions of its own.
const installedAt = "prefix"

// aggregatorManifest is the key of a station whose aggregator has another manifest than the built-in one.
const aggregatorManifest = "manifest"

// spawnedBy is the key of a station whose aggregator is started by that run of a manager.
const spawnedBy = "spawned by"

// ownUnit is the key of a station whose seconds are not testUnit.
const ownUnit = "unit"

// forkHooks is the key of a station whose aggregator is a fork with these hooks, and an implementation acme_delay.
const forkHooks = "hooks"

func newStationOn(t testing.TB, broker everest.Broker, boards int, config map[string]any) *testStation {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	s := &testStation{t: t, directory: t.TempDir(), logs: logs, logged: make(chan struct{}, 1)}
	s.log = zap.New(core, zap.Hooks(func(zapcore.Entry) error {
		select {
		case s.logged <- struct{}{}:
		default:
		}
		return nil
	}))
	s.config = map[string]any{
		"upload_url_template": fmt.Sprintf("ftp://{my-ip}:%d/", testenv.FreePort(t)),
		// Enough of the tests' short seconds for a machine that is busy with other things.
		"board_timeout": 250, "incoming_upload_timeout": 600, "upload_connect_timeout": 600, "upload_stall_timeout": 3600, "upload_timeout": 80000,
		"incoming_uploads_dir":   filepath.Join(s.directory, "incoming"),
		"state_dir":              filepath.Join(s.directory, "state"),
		"default_retry_interval": 0,
	}
	for key, value := range config {
		s.config[key] = value
	}
	if _, s.patient = s.config[patient]; s.patient {
		delete(s.config, patient)
	}
	s.unit = testUnit
	if unit, given := s.config[ownUnit].(time.Duration); given {
		s.unit = unit
		delete(s.config, ownUnit)
	}
	s.spawnedBy, _ = s.config[spawnedBy].(string)
	delete(s.config, spawnedBy)
	_, shared := s.config[sharedEVSE]
	delete(s.config, sharedEVSE)
	modules := map[string]everesttest.ModuleConfig{
		"backend": {Module: "OCPP201", Manifest: []byte(backendManifest),
			Connections: map[string][]everesttest.Connection{"system": {{ModuleID: "aggregator", ImplementationID: "system"}}}},
	}
	if s.config["data_transfer"] != nil {
		modules["backend"].Connections["data_transfer"] = []everesttest.Connection{{ModuleID: "aggregator", ImplementationID: dataTransfer}}
	}
	connections := map[string][]everesttest.Connection{}
	for i := range boards {
		id := fmt.Sprintf("board%d", i)
		evse := everest.Mapping{EVSE: i + 1}
		if shared {
			evse.EVSE = 2
		}
		modules[id] = everesttest.ModuleConfig{Module: "Board", Manifest: []byte(boardManifest), Mapping: &everesttest.ModuleMapping{Module: &evse}}
		connections["system"] = append(connections["system"], everesttest.Connection{ModuleID: id, ImplementationID: "main"})
		if i > 0 {
			connections["satellite"] = append(connections["satellite"], everesttest.Connection{ModuleID: id, ImplementationID: "satellite"})
		}
	}
	declared := manifest
	if hooks, given := s.config[forkHooks].(hook.Hooks); given {
		fork := Installation().Extended(install.Extension{Manifest: "provides:\n  acme_delay: {interface: uk_random_delay, description: What the fork has.}\n"})
		if err := fork.Err(); err != nil {
			t.Fatal(err)
		}
		s.hooks, declared = hooks, fork.Manifest
		modules["backend"].Connections["acme_delay"] = []everesttest.Connection{{ModuleID: "aggregator", ImplementationID: "acme_delay"}}
		delete(s.config, forkHooks)
	}
	if other, given := s.config[aggregatorManifest].([]byte); given {
		declared = other
		delete(s.config, aggregatorManifest)
	}
	if other, given := s.config[ocppModule].(string); given {
		backend := modules["backend"]
		backend.Module = other
		modules["backend"] = backend
		delete(s.config, ocppModule)
	}
	definitions := testDefinitions(t)
	if prefix, given := s.config[installedAt].(string); given {
		var err error
		if definitions, err = schema.LoadYAML(os.DirFS(filepath.Join(prefix, "share/everest"))); err != nil {
			t.Fatal(err)
		}
		s.prefix = prefix
		delete(s.config, installedAt)
	}
	if parsed, err := install.ParseManifest(declared); err != nil {
		t.Fatal(err)
	} else if _, requires := parsed.Requires[ocpp]; requires {
		connections[ocpp] = []everesttest.Connection{{ModuleID: "backend", ImplementationID: "ocpp_generic"}}
	}
	modules["aggregator"] = everesttest.ModuleConfig{Module: "SystemAggregator", Manifest: declared, Config: s.config, Connections: connections}
	s.manager = everesttest.NewManager(t, everesttest.ManagerConfig{Broker: broker, Modules: modules, Definitions: definitions})
	for i := range boards {
		s.boards = append(s.boards, s.startBoard(i))
	}
	s.backend = &testBackend{heard: make(chan string, 1000), network: make(chan map[string]any, 10)}
	version := ocppframes.OCPP201
	if modules["backend"].Module != "OCPP201" {
		version = ocppframes.OCPP16
	}
	ocpp := ocppframes.New(version)
	frames := map[string]func(int64, string) ([]ocppframes.Frame, error){"firmware_update_status": ocpp.Firmware, "log_status": ocpp.Logs}
	order := &sync.Mutex{} // of both variables
	everesttest.RunModule(t, s.manager.Options("backend"), func(m *everest.Module) {
		s.backend.module = m
		everest.Subscribe(m.Requires("system")[0], "configure_network_status", func(_ context.Context, value map[string]any) { s.backend.network <- value })
		for variable, told := range frames {
			m.Requires("system")[0].Subscribe(variable, func(_ context.Context, value json.RawMessage) {
				var heard report
				if err := json.Unmarshal(value, &heard); err != nil {
					t.Error(err)
				}
				status := heard.Firmware + heard.Log
				order.Lock()
				defer order.Unlock()
				if !s.backend.hears.Load() {
					s.backend.missed.Add(1)
					return
				}
				if _, err := told(heard.RequestID, status); err != nil {
					t.Errorf("the module OCPP ends: %v", err)
				}
				s.backend.heard <- fmt.Sprintf("%v %v", heard.RequestID, status)
			})
		}
	})
	s.startAggregator()
	everesttest.WaitReady(t, s.manager)
	s.backend.register(t)
	return s
}

// testUnit makes the module's seconds short, but longer than what anything here really takes.
const testUnit = 50 * time.Millisecond

// testResetPause is between the resets of the satellites and that of the main board.
const testResetPause = 200 * time.Millisecond

func (s *testStation) startAggregator() {
	config := Config{Everest: s.manager.Options("aggregator"), Logger: s.log, unit: s.unit, resetPause: testResetPause, Hooks: s.hooks}
	if s.prefix != "" {
		config.Everest.InstallPrefix, config.Everest.Definitions = s.prefix, nil
	}
	if s.spawnedBy != "" {
		config.Everest.Spawned, config.Everest.ManagerID = new(true), s.spawnedBy
	}
	if s.patient {
		config.staggering = everesttest.Patience
	}
	aggregator := New(config)
	s.aggregator = everesttest.Run(s.t, "aggregator", aggregator.Run)
}

func (s *testStation) startBoard(i int) *testBoard {
	b := &testBoard{index: i, update: "Accepted", yes: true, address: "127.0.0.1", remote: "127.0.0.1", linked: true, called: make(chan string, 1000)}
	everesttest.RunModule(s.t, s.manager.Options(fmt.Sprintf("board%d", i)), func(m *everest.Module) {
		b.module = m
		for _, command := range []string{"update_firmware", "allow_firmware_installation", "upload_logs", "is_reset_allowed", "reset", "set_system_time", "get_boot_reason", configureNetwork} {
			if system, _ := s.manager.Options("").Definitions.Interface("system"); system.Commands[command] == nil {
				continue
			}
			m.Provides("main").Handle(command, func(ctx context.Context, arguments everest.Args) (any, error) {
				return b.answer(ctx, command, arguments)
			})
		}
		m.Provides("satellite").Handle("get_local_endpoint_address", func(context.Context, everest.Args) (any, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.address, nil
		})
		m.Provides("satellite").Handle("get_remote_endpoint_address", func(context.Context, everest.Args) (any, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.remote, nil
		})
		m.Provides("satellite").Handle("get_link_status", func(ctx context.Context, _ everest.Args) (any, error) {
			b.mu.Lock()
			answer := b.link
			b.mu.Unlock()
			if answer == nil {
				return nil, errors.New("no such command, as of a C++ controller")
			}
			return answer(ctx)
		})
		m.Provides("satellite").Handle("is_connected", func(context.Context, everest.Args) (any, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asked++
			return b.linked, nil
		})
	})
	return b
}

// waitLogged waits until count lines with the text are logged, and returns them.
func (s *testStation) waitLogged(t testing.TB, text string, count int) []observer.LoggedEntry {
	t.Helper()
	limit := time.After(everesttest.Patience)
	for {
		if entries := s.logs.FilterMessageSnippet(text).All(); len(entries) >= count {
			return entries
		}
		select {
		case <-s.logged:
		case <-limit:
			t.Fatalf("%q was not logged %d times", text, count)
		}
	}
}

// wasCalled waits for a command of a board.
func (b *testBoard) wasCalled(t testing.TB, want string) {
	t.Helper()
	select {
	case got := <-b.called:
		if got != want {
			t.Fatalf("board %d was called %s, want %s", b.index, got, want)
		}
	case <-time.After(everesttest.Patience):
		t.Fatalf("board %d was not called %s", b.index, want)
	}
}

func (b *testBoard) wasNotCalled(t testing.TB) {
	t.Helper()
	select {
	case got := <-b.called:
		t.Errorf("board %d was called %s", b.index, got)
	default:
	}
}

// sendsFile has a board send a file to the requested location and report it, as system modules do.
func (b *testBoard) sendsFile(t testing.TB, name string, content []byte) {
	b.set(func(b *testBoard) {
		b.logs = func(ctx context.Context, request map[string]any) (any, error) {
			b.module.Provides("main").Publish(ctx, "log_status", map[string]any{"request_id": request["request_id"], "log_status": "Uploading"})
			go func() {
				status := "Uploaded"
				if err := sendTo(t.Context(), request["location"].(string), name, content); err != nil {
					status = "UploadFailure"
				}
				b.report(context.Background(), request["request_id"], status)
			}()
			return map[string]any{"upload_logs_status": "Accepted", "file_name": name}, nil
		}
	})
}

// sendTo uploads as a board does.
func sendTo(ctx context.Context, location, name string, content []byte) error {
	parsed, err := transfer.ParseLocation(location)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "board")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(content); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Close(); err != nil {
		return err
	}
	return transfer.NewUploader(transfer.UploaderConfig{}).Upload(ctx, parsed, file.Name(), name, nil)
}

// sendHalf begins an upload by FTP and ends as a client that is killed: both connections end cleanly, in the middle.
func sendHalf(ctx context.Context, location, name string) error {
	target, err := url.Parse(location)
	if err != nil {
		return err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", target.Host)
	if err != nil {
		return err
	}
	control := textproto.NewConn(conn)
	defer control.Close()
	password, _ := target.User.Password()
	port := 0
	for _, step := range []struct {
		command string
		code    int
	}{{"", 220}, {"USER " + target.User.Username(), 331}, {"PASS " + password, 230}, {"TYPE I", 200}, {"EPSV", 229}} {
		if step.command != "" {
			if err := control.PrintfLine("%s", step.command); err != nil {
				return err
			}
		}
		_, text, err := control.ReadResponse(step.code)
		if err != nil {
			return err
		}
		if _, address, ok := strings.Cut(text, "(|||"); ok {
			fmt.Sscanf(address, "%d", &port)
		}
	}
	data, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(target.Hostname(), fmt.Sprint(port)))
	if err != nil {
		return err
	}
	defer data.Close()
	if err := control.PrintfLine("STOR %s%s", target.Path, name); err != nil {
		return err
	}
	if _, _, err := control.ReadResponse(150); err != nil {
		return err
	}
	_, err = data.Write([]byte("half of it"))
	return err
}
