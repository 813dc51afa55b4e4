package everest_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// A standalone process is killed and started again, beside a manager that keeps its start-up topics or not.
func TestChecklist35_StandaloneProcessIsRestarted(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		for name, retain := range map[string]bool{"topics cleared": false, "topics retained": true} {
			t.Run(name, func(t *testing.T) {
				config := bellConfig(t, broker)
				config.EverestPrefix, config.RetainTopics = "restart-"+name, retain
				tower := config.Modules["tower"]
				tower.Standalone = true
				config.Modules["tower"] = tower
				manager := everesttest.NewManager(t, config)
				everesttest.RunModule(t, manager.Options("ringer"), nil)
				process := startProcess(t, manager, nil, "--spawned=false")
				process.until(t, "spawned false")
				process.until(t, "ready")
				everesttest.WaitReady(t, manager) // counts when the broker has taken the message, which the process may have by then
				if count := manager.GlobalReadyCount(); count != 1 {
					t.Errorf("%d times global ready", count)
				}
				if err := process.command.Process.Signal(syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				process.wait()
				again := startProcess(t, manager, nil, "--spawned=false")
				again.until(t, "ready") // is written on the global ready
				if err := manager.WaitGlobalReady(patient(t), 2); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// A manager that has started no process itself ends at once; one spawned module keeps it.
func TestChecklist36_AManagerNeedsASpawnedModule(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := towerOnly(t, broker)
		tower := config.Modules["tower"]
		tower.Standalone = true
		config.Modules["tower"] = tower
		manager := everesttest.NewManager(t, config)
		select {
		case <-manager.Done():
		case <-patient(t).Done():
			t.Fatal("the manager lives on without a child")
		}
		if err := manager.Err(); !errors.Is(err, everesttest.ErrNoSpawnedModule) {
			t.Error(err)
		}

		spawning := everesttest.NewManager(t, towerOnly(t, broker))
		process := startProcess(t, spawning, nil)
		process.until(t, "ready")
		if err := spawning.Err(); err != nil {
			t.Error(err)
		}
	})
}

// A manager that is restarted finds the standalone module again, without help from outside.
func TestStandaloneModuleMeetsARestartedManager(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		tower := config.Modules["tower"]
		tower.Standalone = true
		config.Modules["tower"] = tower
		first, err := everesttest.StartManager(patient(t), config)
		if err != nil {
			t.Fatal(err)
		}
		readies := make(chan struct{}, 10)
		process := everesttest.RunModule(t, first.Options("tower"), func(m *everest.Module) {
			m.Provides("main").Handle("ring", ring)
			m.OnReady(func(context.Context) error { readies <- struct{}{}; return nil })
		})
		ringer := everesttest.RunModule(t, first.Options("ringer"), nil)
		everesttest.WaitReady(t, first)
		receive(t, readies)
		if err := process.Module.Provides("main").Raise(patient(t), everest.Error{Type: "bell/Cracked"}); err != nil {
			t.Fatal(err)
		}
		first.Kill()
		if err := ringer.Stop(); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}

		second := everesttest.NewManager(t, config)
		called, heard := make(chan error, 1), make(chan everest.ErrorEvent, 1)
		everesttest.RunModule(t, second.Options("ringer"), func(m *everest.Module) {
			bell := m.Requires("bell")[0]
			bell.SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) { heard <- event })
			m.OnReady(func(ctx context.Context) error {
				called <- bell.Call(ctx, "ring", map[string]any{"text": "again", "times": 1}, nil)
				return nil
			})
		})
		everesttest.WaitReady(t, second)
		if err := receive(t, called); err != nil {
			t.Error(err)
		}
		if event := receive(t, heard); !event.Raised || event.Error.Type != "bell/Cracked" {
			t.Errorf("heard %+v", event)
		}
		if len(readies) != 0 {
			t.Error("OnReady ran twice")
		}
	})
}

// The broker goes and comes back, and with it the manager: the standalone module connects again by itself.
func TestStandaloneModuleMeetsARestartedBroker(t *testing.T) {
	type server interface {
		Address() everest.Broker
		Close() error
	}
	kinds := map[string]func(path string) (server, error){
		"embedded": func(path string) (server, error) {
			return everesttest.StartBroker(everesttest.BrokerConfig{SocketPath: path})
		},
		"mosquitto": func(path string) (server, error) {
			return everesttest.StartMosquitto(t.Context(), everesttest.MosquittoConfig{SocketPath: path})
		},
	}
	for name, start := range kinds {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mqtt")
			open := func() server {
				broker, err := start(path)
				if errors.Is(err, everesttest.ErrNoMosquitto) && os.Getenv("CI") == "" {
					t.Skip("this half needs mosquitto: ", err)
				}
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { broker.Close() })
				return broker
			}
			broker := open()
			config := towerOnly(t, broker.Address())
			first, err := everesttest.StartManager(patient(t), config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { first.Close() })
			module := everesttest.RunModule(t, first.Options("tower"), func(m *everest.Module) { m.Provides("main").Handle("ring", ring) }).Module
			everesttest.WaitReady(t, first)
			if err := broker.Close(); err != nil {
				t.Fatal(err)
			}
			if err := first.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Fatal(err)
			}
			// What is published meanwhile waits for the modules that start again with the manager.
			published := make(chan error, 1)
			go func() { published <- module.Provides("main").Publish(patient(t), "rung", 1) }()

			again := open().Address()
			recorder := everesttest.NewRecorder(t, again, "everest/modules/#")
			second := everesttest.NewManager(t, towerOnly(t, again))
			everesttest.WaitReady(t, second)
			if err := receive(t, published); err != nil {
				t.Error(err)
			}
			if _, err := recorder.WaitTopic(patient(t), "everest/modules/tower/impl/main/var/rung"); err != nil {
				t.Error(err)
			}
			newWireClient(t, second.Options("tower").Broker).publish(t, "everest/modules/tower/impl/main/cmd/ring",
				`{"msg_type":"Cmd","data":{"id":"1","origin":"wire","args":{"text":"x","times":1}}}`)
			if _, err := recorder.WaitTopic(patient(t), "everest/modules/tower/impl/main/cmd/ring/response/wire"); err != nil {
				t.Error(err)
			}
		})
	}
}
