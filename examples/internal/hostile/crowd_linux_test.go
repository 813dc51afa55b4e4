package hostile

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
	"github.com/remotechargeport/remotechargeport/examples/internal/usage"
	"github.com/remotechargeport/remotechargeport/satellite"
)

const (
	// maxAgent is the memory of the agent's cgroup.
	maxAgent = 512 << 20
	// crowdSize is how many strangers there are, and maxResume how long the link may take to be back then. It takes a few
	// seconds: the bound is for busy machines, on which the strangers take the time as well. See doc/reliability.md for what
	// was measured.
	crowdSize = 10_000
	maxResume = 25 * time.Second
)

// Ten thousand strangers at the agent's port, silent ones and such that say anything, while the link is stalled: the agent
// stays within its memory, and the link is back soon after the stall.
func TestALinkIsBackPastTenThousandStrangers(t *testing.T) {
	skipWithRace(t)
	count := descriptors(t, crowdSize)
	for _, secure := range []bool{false, true} {
		for name, say := range map[string]func(int) []byte{"silent": nil, "noisy": Noise} {
			t.Run(fmt.Sprintf("%s, secure %v", name, secure), func(t *testing.T) {
				s := startLink(t, secure)
				s.cable.Stall(forwarder.ToServer, forwarder.ToClient)
				ctx, cancel := context.WithCancel(t.Context())
				crowd := &Strangers{Address: s.address, Count: count, Say: say, Hosts: hosts(50)}
				var running sync.WaitGroup
				running.Go(func() { crowd.Run(ctx) })
				defer running.Wait()
				defer cancel()
				until(t, "both boards notice the stall, and the strangers are there", func() bool {
					return !s.controller.Status().Connected && crowd.Opened() >= count
				})
				before := s.controller.Status().Resumes
				began := time.Now()
				s.cable.Heal()
				until(t, "the link is back", func() bool { return s.controller.Status().Connected })
				took := time.Since(began)
				used, err := usage.Of(s.agent.Process.Pid)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("MEASURED %s: back after %v with %d strangers, who had opened %d connections; the agent had %d MiB at most; %d resumes",
					t.Name(), took.Round(time.Millisecond), count, crowd.Opened(), used.Peak>>10, s.controller.Status().Resumes-before)
				if took > maxResume {
					t.Errorf("the link was back after %v", took)
				}
				if used.Peak > maxAgent>>10 {
					t.Errorf("the agent had %d KiB at most", used.Peak)
				}
				// On a busy machine the link may be lost and resumed again.
				until(t, "a command is answered", func() bool { return s.call(t.Context()) == nil })
			})
		}
	}
}

// descriptors returns how many connections this process may open, at most wanted.
func descriptors(t *testing.T, wanted int) int {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if available := int(min(limit.Max, 1<<20)) - 1000; available < wanted {
		t.Logf("only %d of %d strangers: the limit of open files is %d", available, wanted, limit.Max)
		return available
	}
	return wanted
}

func hosts(count int) (all []string) {
	for i := range count {
		all = append(all, fmt.Sprintf("127.0.2.%d", i+1))
	}
	return all
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, 2*patience)
		}
	}
}

// linked is a satellite whose agent is a process, and a main board in this process.
type linked struct {
	agent      *exec.Cmd
	address    string
	cable      *forwarder.Forwarder
	controller *satellite.Controller
	caller     *everest.Module
}

func (l *linked) call(ctx context.Context) error {
	return l.caller.Requires("evse_manager")[0].Call(ctx, "get_evse", nil, nil)
}

func startLink(t *testing.T, secure bool) *linked {
	t.Helper()
	path, err := programs.agent()
	if err != nil {
		t.Fatal(err)
	}
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	secured := func(board string, config map[string]any) map[string]any {
		if secure {
			config["security"], config["identity_directory"] = "mutual-tls", filepath.Join(folder, board)
		}
		config["control_socket"] = "none"
		return config
	}
	if secure {
		pair(t, filepath.Join(folder, "port"), filepath.Join(folder, "main"))
	}
	l := &linked{}
	port := everesttest.FreePort(t)
	l.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	satelliteBoard := portBoard(t, secured("port", map[string]any{"listen_address": "127.0.0.1", "port": port}))
	confine := newConfinement(t)
	l.agent = startProgram(t, path, make(chan struct{}), satelliteBoard.Arguments("agent")...)
	confine(l.agent.Process.Pid)
	until(t, "the agent listens", func() bool {
		conn, err := net.Dial("tcp", l.address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	if l.cable, err = forwarder.Listen(l.address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.cable.Close)
	manager := everesttest.NewManager(t, everesttest.ManagerConfig{Broker: everesttest.NewBroker(t), Definitions: known, Modules: map[string]everesttest.ModuleConfig{
		callerID: {Module: "Main", Manifest: []byte(singleManifest), Connections: map[string][]everesttest.Connection{"evse_manager": board.To(liarID, "evse_manager")}},
		liarID: {
			Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest,
			Config:      secured("main", map[string]any{"hostname": "127.0.0.1", "port": l.cable.Port()}),
			Connections: map[string][]everesttest.Connection{"auth": board.To(callerID, "auth")},
		},
	}})
	everesttest.RunModule(t, manager.Options(callerID), func(module *everest.Module) {
		l.caller = module
		if err := standin.AnswerAll(known, module.Provides("auth"), standin.PlainAnswer); err != nil {
			t.Error(err)
		}
	})
	l.controller = satellite.NewController(satellite.ControllerConfig{Everest: manager.Options(liarID)})
	everesttest.Run(t, "controller", l.controller.Run)
	everesttest.WaitReady(t, manager)
	return l
}

const singleManifest = `
description: The main board's modules, all in one.
provides:
  auth: {interface: auth, description: Authorisation.}
requires:
  evse_manager: {interface: evse_manager}
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`

// newConfinement makes a cgroup of maxAgent, where that can be had, and returns a function that puts a process into it. The test
// looks at the memory in any case.
func newConfinement(t *testing.T) (confine func(process int)) {
	t.Helper()
	name := fmt.Sprintf("remotechargeport-test-%d-%d", os.Getpid(), confinements.Add(1))
	for _, group := range []struct{ folder, limit string }{
		{filepath.Join("/sys/fs/cgroup/memory", name), "memory.limit_in_bytes"},
		{filepath.Join("/sys/fs/cgroup", name), "memory.max"},
	} {
		if os.Mkdir(group.folder, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			// The process may not be gone yet.
			until(t, "the cgroup is empty", func() bool { return os.Remove(group.folder) == nil })
		})
		if os.WriteFile(filepath.Join(group.folder, group.limit), []byte(strconv.Itoa(maxAgent)), 0) != nil {
			continue
		}
		t.Logf("there is a cgroup of %d MiB for the agent", maxAgent>>20)
		return func(process int) {
			if err := os.WriteFile(filepath.Join(group.folder, "cgroup.procs"), []byte(strconv.Itoa(process)), 0); err != nil {
				t.Logf("the agent is not put into its cgroup, and its memory is looked at alone: %v", err)
			}
		}
	}
	t.Log("no cgroup can be had here: the memory of the agent is looked at alone")
	return func(int) {}
}

// confinements counts the cgroups.
var confinements atomic.Int64
