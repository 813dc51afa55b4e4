package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// programs are those that a station runs, built once. The agent of an older release is the same program with another
// version.
type programs struct{ directory string }

func buildPrograms(t *testing.T) programs {
	t.Helper()
	directory := t.TempDir()
	stats, err := filepath.Abs("../../../everest/stats.go")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(stats)
	if err != nil {
		t.Fatal(err)
	}
	const function = "func Version() string {\n"
	if !bytes.Contains(source, []byte(function)) {
		t.Fatalf("%s has no %s", stats, function)
	}
	for _, release := range []struct {
		version  string
		packages []string
	}{{"v1.4.0", []string{"../../agent", "../../controller", "../../satctl"}}, {"v1.3.0", []string{"../../agent"}}} {
		changed := filepath.Join(directory, release.version+".go")
		text := strings.Replace(string(source), function, "func Version() string { if true { return \""+release.version+"\" }\n", 1)
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay := filepath.Join(directory, release.version+".json")
		content, err := json.Marshal(map[string]any{"Replace": map[string]string{stats: changed}})
		if err == nil {
			err = os.WriteFile(overlay, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		arguments := append([]string{"build", "-overlay", overlay, "-o", filepath.Join(directory, release.version) + string(filepath.Separator)}, release.packages...)
		if output, err := exec.CommandContext(t.Context(), "go", arguments...).CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, output)
		}
	}
	return programs{directory}
}

// path returns a program of a release.
func (p programs) path(version, name string) string {
	return filepath.Join(p.directory, version, name)
}

const plantManifest = `
description: What the modules under test need around them.
metadata: {license: "https://example.org", authors: [test]}
enable_external_mqtt: false
provides:
  evse: {interface: evse_manager, description: a charge port}
  energy: {interface: energy, description: its energy node}
  board_support: {interface: evse_board_support, description: its hardware}
`

const backendManifest = `
description: The main board's modules.
metadata: {license: "https://example.org", authors: [test]}
provides:
  auth: {interface: auth, description: authorisation}
requires:
  evse: {interface: evse_manager, min_connections: 1, max_connections: 1}
`

// plant is a station of two boards with the real programs, which a browser and satctl look at.
type plant struct {
	t          *testing.T
	programs   programs
	config     plantConfig
	directory  string // of the status sockets of the main board
	controller *exec.Cmd
	port       *everesttest.Process
	backend    *everesttest.Process
	metrics    string
	page       *tab
}

// plantConfig is what differs between stations. What is empty is ordinary.
type plantConfig struct {
	agentVersion string
	// board has the network of the satellite, reached at address through a router.
	board, router *netThread
	address       string
	// satellite and main are the directories of the boards' identities, for a protected link.
	satellite, main string
	// unhealthy: the station never becomes healthy.
	unhealthy bool
	keys      map[string]any
}

// startPlant starts a station, and waits until page and satctl find that it works.
func startPlant(t *testing.T, programs programs, browser *chromium, config plantConfig) *plant {
	t.Helper()
	directory, err := os.MkdirTemp("", "plant") // t.TempDir's name may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	p := &plant{t: t, programs: programs, directory: directory, config: config}
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	to := func(module, implementation string) []everesttest.Connection {
		return []everesttest.Connection{{ModuleID: module, ImplementationID: implementation}}
	}
	if config.address == "" {
		config.address = "127.0.0.1"
	}
	listener := listenOn(t, config.board, net.JoinHostPort(config.address, "0"))
	agentKeys := map[string]any{"listen_address": "192.0.2.1", "control_socket": filepath.Join(directory, "satellite", "remote_controller.sock")}
	mainKeys := map[string]any{
		"hostname": config.address, "port": listener.port, "on_loss": "isolate", "resume_window_s": 1, "link_timeout_ms": 1500,
		"control_socket": filepath.Join(directory, "main", "connector_2.sock"),
	}
	if config.satellite != "" {
		agentKeys["security"], agentKeys["identity_directory"] = "mutual-tls", config.satellite
		mainKeys["security"], mainKeys["identity_directory"] = "mutual-tls", config.main
	}
	for key, value := range config.keys {
		mainKeys[key] = value
	}
	for _, name := range []string{"satellite", "main"} {
		if err := os.Mkdir(filepath.Join(directory, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	satelliteBoard := everesttest.NewManager(t, everesttest.ManagerConfig{Definitions: known, Modules: map[string]everesttest.ModuleConfig{
		"board": {Module: "Board", Manifest: []byte(plantManifest)},
		"remote_controller": {
			Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest, Config: agentKeys,
			Connections: map[string][]everesttest.Connection{"evse_manager": to("board", "evse"), "energy": to("board", "energy")},
		},
	}})
	mainBoard := everesttest.NewManager(t, everesttest.ManagerConfig{Definitions: known, Modules: map[string]everesttest.ModuleConfig{
		"backend": {Module: "Backend", Manifest: []byte(backendManifest), Connections: map[string][]everesttest.Connection{"evse": to("connector_2", "evse_manager")}},
		"connector_2": {
			Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest, Config: mainKeys,
			Mapping:     &everesttest.ModuleMapping{Module: &everest.Mapping{EVSE: 2}},
			Connections: map[string][]everesttest.Connection{"auth": to("backend", "auth")},
		},
	}})
	p.port = everesttest.RunModule(t, satelliteBoard.Options("board"), p.answer)
	p.backend = everesttest.RunModule(t, mainBoard.Options("backend"), p.answer)
	version := "v1.4.0"
	if config.agentVersion != "" {
		version = config.agentVersion
	}
	// The agent gets its port as systemd passes one: so it listens in the satellite's network.
	agent := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, programs.path(version, "agent")}, satelliteBoard.Arguments("remote_controller")...)...)
	agent.Env = append(os.Environ(), "LISTEN_FDS=1")
	agent.ExtraFiles = []*os.File{listener.file}
	p.run("agent", agent)
	listener.file.Close()
	p.controller = p.run("controller", exec.Command(programs.path("v1.4.0", "controller"), mainBoard.Arguments("connector_2")...))
	if !config.unhealthy {
		everesttest.WaitReady(t, satelliteBoard)
		everesttest.WaitReady(t, mainBoard)
		p.publish("ready", true)
	}
	p.look(browser)
	if !config.unhealthy && config.agentVersion == "" {
		p.page.await(`document.getElementById("verdict-text").textContent === "The EVSE is in service" && document.getElementById("alarms").hidden`)
		if status, out := p.satctl(); status != 0 {
			t.Fatalf("satctl before the fault: %d\n%s", status, out)
		}
		if firing := firingAlerts(t, p.metrics); len(firing) > 0 {
			t.Fatalf("alerts before the fault: %v", firing)
		}
	}
	return p
}

// look serves the page with the real program, and opens it.
func (p *plant) look(browser *chromium) {
	p.t.Helper()
	serve := exec.Command(p.programs.path("v1.4.0", "satctl"), "serve", "--listen", "127.0.0.1:0", filepath.Join(p.directory, "main"))
	out, err := serve.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.run("satctl serve", serve)
	address := make([]byte, 100)
	n, err := out.Read(address)
	url := regexp.MustCompile(`http://\S+/`).FindString(string(address[:n]))
	if err != nil || url == "" {
		p.t.Fatalf("satctl serve says %q, %v", address[:n], err)
	}
	p.metrics = url + "metrics"
	p.page = browser.open(p.t, url, 1280, 900)
}

// run starts a program, which ends with the test.
func (p *plant) run(name string, command *exec.Cmd) *exec.Cmd {
	p.t.Helper()
	var mu sync.Mutex
	var log bytes.Buffer
	command.Stderr = lockedWriter{&mu, &log}
	command.WaitDelay = 10 * time.Second
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	ended := make(chan struct{})
	go func() {
		runtime.LockOSThread() // a child's Pdeathsig comes with the end of its thread
		defer runtime.UnlockOSThread()
		started <- command.Start()
		<-ended
	}()
	if err := <-started; err != nil {
		close(ended)
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
		close(ended)
		mu.Lock()
		defer mu.Unlock()
		if p.t.Failed() {
			p.t.Logf("%s:\n%s", name, log.String())
		}
	})
	return command
}

type lockedWriter struct {
	mu  *sync.Mutex
	out *bytes.Buffer
}

func (w lockedWriter) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(text)
}

// answer handles all commands of a board's modules. An EVSE that is disabled publishes it as EvseManager does.
func (p *plant) answer(m *everest.Module) {
	known, err := satellite.Definitions()
	if err != nil {
		p.t.Error(err)
		return
	}
	for implementation, name := range map[string]string{"evse": "evse_manager", "energy": "energy", "board_support": "evse_board_support", "auth": "auth"} {
		if (name == "auth") != (m.ID() == "backend") {
			continue
		}
		declared, _ := known.Interface(name)
		for _, command := range declared.Commands {
			m.Provides(implementation).Handle(command.Name, func(ctx context.Context, arguments everest.Args) (any, error) {
				switch command.Name {
				case "get_evse":
					return json.RawMessage(`{"id":1,"connectors":[{"id":1}]}`), nil
				case "enable_disable":
					event := fmt.Sprintf(`{"event":"Disabled","uuid":"","timestamp":"2026-11-28T02:00:00.000Z","source":%s}`, arguments["cmd_source"])
					return true, m.Provides("evse").Publish(ctx, "session_event", json.RawMessage(event))
				}
				return nil, nil
			})
		}
	}
}

// publish publishes a variable of the satellite's EVSE.
func (p *plant) publish(variable string, value any) {
	p.t.Helper()
	if err := p.port.Module.Provides("evse").Publish(p.t.Context(), variable, value); err != nil {
		p.t.Fatal(err)
	}
}

// satctl returns the exit status and the output of satctl status on the main board.
func (p *plant) satctl() (int, string) {
	p.t.Helper()
	command := exec.CommandContext(p.t.Context(), p.programs.path("v1.4.0", "satctl"), "-d", filepath.Join(p.directory, "main"), "status")
	out, err := command.CombinedOutput()
	if err != nil && command.ProcessState == nil {
		p.t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), string(out)
}

// listening is a port that another program gets.
type listening struct {
	file *os.File
	port int
}

// listenOn opens a port in the network of a board, nil for that of the test.
func listenOn(t *testing.T, board *netThread, address string) listening {
	t.Helper()
	var l listening
	open := func() {
		listener, err := net.Listen("tcp", address)
		if err == nil {
			l.port = listener.Addr().(*net.TCPAddr).Port
			l.file, err = listener.(*net.TCPListener).File()
			listener.Close()
		}
		if err != nil {
			t.Error(err)
		}
	}
	if board == nil {
		open()
	} else {
		board.do(open)
	}
	if l.file == nil {
		t.FailNow()
	}
	return l
}

// netThread is a thread with a network of its own, which ends with the test.
type netThread struct {
	t    *testing.T
	id   int
	work chan func()
}

func newNetThread(t *testing.T) *netThread {
	t.Helper()
	n := &netThread{t: t, work: make(chan func())}
	started := make(chan error)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		n.id = syscall.Gettid()
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		started <- err
		for do := range n.work {
			do()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(n.work)
		<-ended
	})
	n.run("ip link set lo up")
	return n
}

func (n *netThread) do(do func()) {
	done := make(chan struct{})
	n.work <- func() {
		defer close(done)
		do()
	}
	<-done
}

// run runs commands on the thread.
func (n *netThread) run(commands ...string) {
	n.t.Helper()
	n.do(func() { runAll(n.t, commands) })
}

func runAll(t *testing.T, commands []string) {
	t.Helper()
	for _, text := range commands {
		words := strings.Fields(text)
		if output, err := exec.CommandContext(context.Background(), words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", text, err, output)
		}
	}
}

// insideNamespace is set in the process of a test that has a network of its own.
const insideNamespace = "PAGE_TEST_NAMESPACE"

// inNamespace runs the test again in a process with a network of its own. It reports whether this is that process.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideNamespace) != "" {
		runAll(t, []string{"ip link set lo up"})
		return true
	}
	for _, program := range []string{"ip", "nft", "sysctl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the program %s is not installed", program)
		}
	}
	arguments := []string{"-test.run=^" + t.Name() + "$", "-test.v"}
	if *screenshots != "" {
		arguments = append(arguments, "-page.screenshots="+*screenshots)
	}
	if deadline, ok := t.Deadline(); ok {
		arguments = append(arguments, "-test.timeout="+time.Until(deadline).String())
	}
	command := exec.CommandContext(t.Context(), os.Args[0], arguments...)
	command.Env = append(os.Environ(), insideNamespace+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	output, err := command.CombinedOutput()
	if err != nil && strings.Contains(err.Error(), "operation not permitted") {
		t.Skip("a network namespace needs CAP_NET_ADMIN and CAP_SYS_ADMIN")
	}
	t.Logf("%s", output)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// network connects this process's network with that of a satellite by a router. Number tells it from other networks.
func network(t *testing.T, number int) (board, router *netThread, address string) {
	t.Helper()
	router, board = newNetThread(t), newNetThread(t)
	here, there := fmt.Sprintf("10.%d.1", 100+number), fmt.Sprintf("10.%d.2", 100+number)
	link := fmt.Sprintf("plant%d", number)
	runAll(t, []string{
		fmt.Sprintf("ip link add %s type veth peer name main netns %d", link, router.id),
		fmt.Sprintf("ip address add %s.1/30 dev %s", here, link), "ip link set " + link + " up",
		fmt.Sprintf("ip route add %s.0/30 via %s.2", there, here),
	})
	board.run(fmt.Sprintf("ip link add plant type veth peer name board netns %d", router.id),
		fmt.Sprintf("ip address add %s.1/30 dev plant", there), "ip link set plant up", fmt.Sprintf("ip route add default via %s.2", there))
	router.run(fmt.Sprintf("ip address add %s.2/30 dev main", here), fmt.Sprintf("ip address add %s.2/30 dev board", there),
		"ip link set main up", "ip link set board up", "sysctl -qw net.ipv4.ip_forward=1")
	if t.Failed() {
		t.FailNow()
	}
	return board, router, there + ".1"
}

// swapped returns the identities of a satellite and of a main board that was put in the place of another: the satellite
// trusts the one before.
func swapped(t *testing.T) (satellite, main string) {
	t.Helper()
	directory := t.TempDir()
	made := map[string]identity.Identity{}
	for name, serial := range map[string]string{"satellite": "SAT01", "main": "MAIN01", "before": "MAIN00"} {
		one, err := identity.Create(filepath.Join(directory, name), identity.CreateOptions{Serial: serial})
		if err != nil {
			t.Fatal(err)
		}
		made[name] = one
	}
	for name, peer := range map[string]string{"satellite": "before", "main": "satellite"} {
		var trust identity.Trust
		_, err := trust.Pin(identity.Pin{Serial: made[peer].Serial, Fingerprint: made[peer].Fingerprint})
		if err == nil {
			err = trust.Save(filepath.Join(directory, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(directory, "satellite"), filepath.Join(directory, "main")
}

// get1 returns the body of a response.
func get1(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return body.String()
}
