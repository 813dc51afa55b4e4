package everest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func standalone(o *Options) { *o.Spawned = false }

func TestLostBrokerEndsASpawnedModule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, nil)
		ended := running(t, m)
		called := make(chan error, 1)
		go func() { called <- m.Requires("peer")[0].Call(t.Context(), "ring", nil, nil) }()
		synctest.Wait()
		hub.lose()
		for name, err := range map[string]error{"Run": <-ended, "Call": <-called} {
			if !errors.Is(err, ErrBrokerLost) || !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := m.Provides("main").Publish(t.Context(), "v", 1); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Publish: %v", err)
		}
	})
}

func TestLostBrokerDuringInitEndsASpawnedModule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, nil)
		m.OnInit(func(ctx context.Context) error {
			<-ctx.Done() // as an agent does that waits for its controller
			return ctx.Err()
		})
		ended := make(chan error, 1)
		go func() { ended <- m.Run(t.Context()) }()
		time.Sleep(10 * time.Minute)
		hub.lose()
		if err := <-ended; !errors.Is(err, ErrBrokerLost) {
			t.Error(err)
		}
		if ready := hub.on("everest/modules/one/ready"); len(ready) != 0 {
			t.Errorf("ready was said: %s", ready)
		}
	})
}

func TestStandaloneModuleConnectsAgainAndRepeatsTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, standalone)
		inits, readies := 0, 0
		m.OnInit(func(context.Context) error { inits++; return nil })
		m.OnReady(func(context.Context) error { readies++; return nil })
		values := make(chan string, 10)
		m.Requires("peer")[0].Subscribe("v", func(_ context.Context, value json.RawMessage) { values <- string(value) })
		faults := make(chan ErrorEvent, 10)
		m.Requires("peer")[0].SubscribeErrors(func(_ context.Context, event ErrorEvent) { faults <- event })
		running(t, m)
		deliver := func(value string) {
			hub.deliver(Message{Topic: variableTopicOf("v"), Payload: testWire.Variable("", json.RawMessage(value))})
		}
		raise := func(subType string) {
			hub.deliver(Message{Topic: "everest/modules/two/impl/main/error/a/B", Payload: fmt.Appendf(nil,
				`{"data":{"type":"a/B","sub_type":%q,"state":"Active","origin":{"module_id":"two","implementation_id":"main"}},"msg_type":"RaiseError"}`, subType)})
		}
		deliver("1")
		raise("before")
		synctest.Wait()
		if err := m.Provides("main").Raise(t.Context(), Error{Type: "a/Own"}); err != nil {
			t.Fatal(err)
		}

		hub.lose()
		synctest.Wait()
		deliver("2")
		raise("before") // is news again, for the other side has started anew
		synctest.Wait()
		if got := []string{<-values, <-values}; !cmp.Equal(got, []string{"1", "2"}) {
			t.Errorf("values %s", got)
		}
		var story []string
		for range 3 {
			event := <-faults
			story = append(story, fmt.Sprint(event.Raised, " ", event.Error.State))
		}
		if diff := cmp.Diff([]string{"true Active", "false ClearedByReboot", "true Active"}, story); diff != "" {
			t.Error(diff)
		}
		if asked := hub.on("everest/config/request"); len(asked) != 2 {
			t.Errorf("%d config requests", len(asked))
		}
		if ready := hub.on("everest/modules/one/ready"); len(ready) != 2 {
			t.Errorf("ready was said %d times", len(ready))
		}
		if raised := hub.on("everest/modules/one/impl/main/error/a/Own"); len(raised) != 2 || raised[0] != raised[1] {
			t.Errorf("the own error was raised %d times: %s", len(raised), raised)
		}
		if inits != 1 || readies != 1 {
			t.Errorf("OnInit ran %d times, OnReady %d times", inits, readies)
		}
		if active := m.Requires("peer")[0].ActiveErrors(); len(active) != 1 {
			t.Errorf("active %v", active)
		}
	})
}

func TestStandaloneModuleWaitsForTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		attempts := 0
		m := connectMemory(t, hub, func(o *Options) {
			standalone(o)
			o.OpenTransport = func(ctx context.Context, config TransportConfig) (Transport, error) {
				if attempts++; attempts > 1 && attempts < 12 {
					return nil, errors.New("connection refused")
				}
				return hub.open(ctx, config)
			}
		})
		running(t, m)
		started := time.Now()
		hub.lose()
		for len(hub.on("everest/modules/one/ready")) < 2 {
			time.Sleep(100 * time.Millisecond)
		}
		// 0.5 + 1 + 2 + 4 + 8 + 16 + 4 x 30 seconds of pauses.
		if waited := time.Since(started).Round(time.Second); waited != 152*time.Second || attempts != 12 {
			t.Errorf("%d attempts in %v", attempts, waited)
		}
	})
}

func TestOtherConfigurationEndsAStandaloneModule(t *testing.T) {
	for name, happens := range map[string]func(*memoryHub){
		"broker lost":     (*memoryHub).lose,
		"manager started": startManagerAgain,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &memoryHub{}
				m := connectMemory(t, hub, standalone)
				ended := running(t, m)
				hub.mu.Lock()
				hub.answer = memoryManager("one", strings.Replace(memoryConfig, "two", "three", 1))
				hub.mu.Unlock()
				happens(hub)
				if err := <-ended; !errors.Is(err, ErrConfigChanged) {
					t.Error(err)
				}
			})
		})
	}
}

func startManagerAgain(hub *memoryHub) {
	hub.deliver(Message{Topic: "everest/module_names", Payload: []byte(`{"data":{"one":"One"},"msg_type":"GetConfigResponse"}`)})
}

func TestModuleGreetsAManagerThatStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, standalone)
		readies := 0
		m.OnReady(func(context.Context) error { readies++; return nil })
		ended := running(t, m)
		// What an earlier manager has left behind is no sign of a new one.
		hub.deliver(Message{Topic: "everest/module_names", Retained: true, Payload: []byte(`{"data":{"one":"One"},"msg_type":"GetConfigResponse"}`)})
		synctest.Wait()
		if ready := hub.on("everest/modules/one/ready"); len(ready) != 1 {
			t.Errorf("ready was said %d times", len(ready))
		}
		startManagerAgain(hub)
		synctest.Wait()
		if ready := hub.on("everest/modules/one/ready"); len(ready) != 2 || readies != 1 {
			t.Errorf("ready was said %d times, OnReady ran %d times", len(ready), readies)
		}
		if len(ended) != 0 {
			t.Error(<-ended)
		}
	})
}

// What is published while the modules of another manager start would be heard by nobody.
func TestNewsWaitsForTheModulesOfAnotherManager(t *testing.T) {
	for name, happens := range map[string]func(*memoryHub){"broker lost": (*memoryHub).lose, "manager started": startManagerAgain} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &memoryHub{}
				m := connectMemory(t, hub, standalone)
				running(t, m)
				manager := memoryManager("one", memoryConfig)
				hub.mu.Lock()
				hub.answer = func(message Message) []Message {
					if strings.HasSuffix(message.Topic, "/ready") {
						return nil // the others are not ready yet
					}
					return manager(message)
				}
				hub.mu.Unlock()
				happens(hub)
				synctest.Wait()
				published := make(chan error, 1)
				go func() { published <- m.Provides("main").Publish(t.Context(), "v", 1) }()
				time.Sleep(time.Hour)
				topic := "everest/modules/one/impl/main/var/v"
				if len(published) != 0 || len(hub.on(topic)) != 0 {
					t.Error("published before the global ready")
				}
				hub.deliver(Message{Topic: "everest/ready", Payload: []byte(`{"data":true,"msg_type":"GlobalReady"}`)})
				if err := <-published; err != nil || len(hub.on(topic)) != 1 {
					t.Errorf("published %s, %v", hub.on(topic), err)
				}
			})
		})
	}
}

func TestManagerStartsAgainWhileTheModuleInitialises(t *testing.T) {
	for name, same := range map[string]bool{"same configuration": true, "another configuration": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &memoryHub{}
				m := connectMemory(t, hub, standalone)
				initialised := make(chan struct{})
				m.OnInit(func(context.Context) error { <-initialised; return nil })
				ended := make(chan error, 1)
				go func() { ended <- m.Run(t.Context()) }()
				synctest.Wait()
				if !same {
					hub.mu.Lock()
					hub.answer = memoryManager("one", strings.Replace(memoryConfig, "two", "three", 1))
					hub.mu.Unlock()
				}
				startManagerAgain(hub)
				synctest.Wait()
				close(initialised)
				synctest.Wait()
				if same {
					if ready := hub.on("everest/modules/one/ready"); len(ready) != 1 || len(ended) != 0 {
						t.Errorf("ready was said %d times, ended %d", len(ready), len(ended))
					}
				} else if err := <-ended; !errors.Is(err, ErrConfigChanged) {
					t.Error(err)
				}
			})
		})
	}
}

func TestSecondRunLeavesTheFirstAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := connectMemory(t, &memoryHub{}, nil)
		ended := running(t, m)
		if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "twice") {
			t.Error(err)
		}
		synctest.Wait()
		if len(ended) != 0 {
			t.Errorf("the first ended: %v", <-ended)
		}
	})
}

func TestShutdownOfAllModulesEndsRunWithoutAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, nil)
		cause := make(chan error, 1)
		m.OnReady(func(ctx context.Context) error {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return ctx.Err()
		})
		ended := running(t, m)
		for _, payload := range []string{"", "false", `{"msg_type":"Shutdown"}`} {
			hub.deliver(Message{Topic: "everest/shutdown", Payload: []byte(payload)})
		}
		hub.deliver(Message{Topic: "everest/shutdown", Payload: []byte("true"), Retained: true})
		synctest.Wait()
		if len(ended) != 0 {
			t.Fatalf("ended: %v", <-ended)
		}
		hub.deliver(Message{Topic: "everest/shutdown", Payload: []byte("true")})
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := <-cause; !errors.Is(err, ErrShutdown) {
			t.Errorf("cause: %v", err)
		}
	})
}

func TestGlobalReadyCountsOnceAndOnlyWhenTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		manager := memoryManager("one", memoryConfig)
		hub.answer = func(message Message) []Message {
			if strings.HasSuffix(message.Topic, "/ready") {
				return nil // the others are not ready yet
			}
			return manager(message)
		}
		m := connectMemory(t, hub, nil)
		initialised, readies := make(chan struct{}), 0
		m.OnInit(func(context.Context) error { <-initialised; return nil })
		m.OnReady(func(context.Context) error { readies++; return nil })
		go m.Run(t.Context())
		globalReady := func(payload string) {
			hub.deliver(Message{Topic: "everest/ready", Payload: []byte(payload)})
			synctest.Wait()
		}
		globalReady(`{"data":true,"msg_type":"GlobalReady"}`) // of others, before the own ready
		close(initialised)
		synctest.Wait()
		for _, payload := range []string{
			`{"data":false,"msg_type":"GlobalReady"}`, `{"data":1,"msg_type":"GlobalReady"}`, `{"msg_type":"GlobalReady"}`, `true`, ``,
		} {
			globalReady(payload)
		}
		if readies != 0 {
			t.Fatal("OnReady ran too early")
		}
		for range 3 {
			globalReady(`{"data":true,"msg_type":"GlobalReady"}`)
		}
		if readies != 1 {
			t.Errorf("OnReady ran %d times", readies)
		}
	})
}

func TestErrorsOfHooksEndRun(t *testing.T) {
	boom := errors.New("boom")
	for name, prepare := range map[string]func(*Module){
		"init":  func(m *Module) { m.OnInit(func(context.Context) error { return boom }) },
		"ready": func(m *Module) { m.OnReady(func(context.Context) error { return boom }) },
		"fail":  func(m *Module) { m.OnReady(func(context.Context) error { m.Fail(boom); return nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := connectMemory(t, &memoryHub{}, nil)
				prepare(m)
				if err := m.Run(t.Context()); !errors.Is(err, boom) {
					t.Error(err)
				}
			})
		})
	}
}

func TestRefusedSubscriptionEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{refuse: variableTopicOf("v")}
		m := connectMemory(t, hub, nil)
		m.Requires("peer")[0].Subscribe("v", func(context.Context, json.RawMessage) {})
		if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), variableTopicOf("v")) {
			t.Error(err)
		}
		if ready := hub.on("everest/modules/one/ready"); len(ready) != 0 {
			t.Error("ready was said")
		}
	})
}

func TestMistakesOfRegistrationsEndRun(t *testing.T) {
	manifest := []byte("description: One\nprovides: {main: {interface: bell, description: one bell}}\nrequires: {peer: {interface: bell}}\n" +
		"metadata: {license: https://example.com, authors: [nobody]}\n")
	nothing := func(context.Context, json.RawMessage) {}
	tests := map[string]func(*Module){
		`provides no implementation "typo"`: func(m *Module) {
			if err := m.Provides("typo").Publish(t.Context(), "v", 1); err == nil {
				t.Error("published by an unknown implementation")
			}
		},
		`no requirement "typo"`:              func(m *Module) { m.Requires("typo") },
		`command main.c: the handler is nil`: func(m *Module) { m.Provides("main").Handle("c", nil) },
		`main.c has two handlers`: func(m *Module) {
			for range 2 {
				m.Provides("main").Handle("c", func(context.Context, Args) (any, error) { return nil, nil })
			}
		},
		`command main.a/b`: func(m *Module) {
			m.Provides("main").Handle("a/b", func(context.Context, Args) (any, error) { return nil, nil })
		},
		`subscribe peer`:       func(m *Module) { m.Requires("peer")[0].Subscribe("#", nothing) },
		`enable_global_errors`: func(m *Module) { m.SubscribeGlobalErrors(func(context.Context, ErrorEvent) {}) },
		`enable_external_mqtt`: func(m *Module) { m.SubscribeExternal("x", func(context.Context, string, []byte) {}) },
		`NewestOnly`: func(m *Module) {
			m.Requires("peer")[0].SubscribeErrors(func(context.Context, ErrorEvent) {}, NewestOnly())
		},
		`"q" is another module's`: func(m *Module) { m.Requires("peer")[0].Subscribe("v", nothing, OnQueue((&dispatcher{}).newQueue("q"))) },
	}
	for want, mistake := range tests {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := connectMemory(t, &memoryHub{}, func(o *Options) { o.Manifest = manifest })
				mistake(m)
				if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
			})
		})
	}
}

func TestStuckHandlersAreLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, nil)
		stuck, release := make(chan struct{}), make(chan struct{})
		m.Requires("peer")[0].Subscribe("v", func(context.Context, json.RawMessage) { close(stuck); <-release })
		ended := running(t, m)
		hub.deliver(Message{Topic: variableTopicOf("v"), Payload: testWire.Variable("", json.RawMessage("1"))})
		<-stuck
		boom, started := errors.New("boom"), time.Now()
		m.Fail(boom)
		if err := <-ended; !errors.Is(err, boom) || time.Since(started) != 2*time.Second {
			t.Errorf("ended with %v after %v", err, time.Since(started))
		}
		close(release)
	})
}

func TestCloseEndsRunAndMayBeRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := connectMemory(t, &memoryHub{}, nil)
		ended := running(t, m)
		if err := errors.Join(m.Close(), m.Close()); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := m.Run(t.Context()); err == nil {
			t.Error("Run ran again")
		}
		unused := connectMemory(t, &memoryHub{}, nil)
		if err := errors.Join(unused.Close(), unused.Close()); err != nil {
			t.Error(err)
		}
		if err := unused.Run(t.Context()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

func TestCallBeforeRunIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := connectMemory(t, &memoryHub{}, nil)
		if err := m.Requires("peer")[0].Call(t.Context(), "ring", nil, nil); !errors.Is(err, ErrNotConnected) {
			t.Error(err)
		}
	})
}

func TestHandlerPanicsAreSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, nil)
		values := make(chan string, 2)
		m.Requires("peer")[0].Subscribe("v", func(_ context.Context, value json.RawMessage) {
			values <- string(value)
			panic("in a handler")
		})
		ended := running(t, m)
		for _, value := range []string{"1", "2"} {
			hub.deliver(Message{Topic: variableTopicOf("v"), Payload: testWire.Variable("", json.RawMessage(value))})
		}
		synctest.Wait()
		if len(values) != 2 || len(ended) != 0 {
			t.Errorf("%d values, ended %d", len(values), len(ended))
		}
	})
}

func TestRegistrationsWhileTheModuleRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, nil)
		subscribedAtReady := false
		m.OnInit(func(context.Context) error {
			m.Requires("peer")[0].Subscribe("early", func(context.Context, json.RawMessage) {})
			m.Provides("main").Handle("early", func(context.Context, Args) (any, error) { return nil, nil })
			return nil
		})
		manager := hub.answer
		hub.answer = func(message Message) []Message {
			if message.Topic == "everest/modules/one/ready" {
				hub.mu.Lock()
				filters := hub.transports[0].filters
				subscribedAtReady = slices.Contains(filters, variableTopicOf("early")) && slices.Contains(filters, "everest/modules/one/impl/main/cmd/early")
				hub.mu.Unlock()
			}
			return manager(message)
		}
		values := make(chan string, 1)
		running(t, m)
		if !subscribedAtReady {
			t.Error("what OnInit registers is not subscribed when the module says ready")
		}
		m.Requires("peer")[0].Subscribe("late", func(_ context.Context, value json.RawMessage) { values <- string(value) })
		synctest.Wait()
		hub.deliver(Message{Topic: variableTopicOf("late"), Payload: testWire.Variable("", json.RawMessage("1"))})
		if got := <-values; got != "1" {
			t.Errorf("value %s", got)
		}
	})
}

func TestMistakeWhileTheModuleRunsEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := connectMemory(t, &memoryHub{}, nil)
		ended := running(t, m)
		m.Provides("typo")
		if err := <-ended; err == nil || !strings.Contains(err.Error(), `"typo"`) {
			t.Error(err)
		}
	})
}

func TestLogOfWhatIsDroppedNamesTheTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		hub := &memoryHub{}
		m := connectMemory(t, hub, func(o *Options) { o.Logger = zap.New(core) })
		m.Requires("peer")[0].Subscribe("v", func(context.Context, json.RawMessage) { t.Error("an unreadable value was delivered") })
		running(t, m)
		hub.deliver(Message{Topic: variableTopicOf("v"), Payload: []byte("no JSON")})
		synctest.Wait()
		if logs.FilterField(zap.String("topic", variableTopicOf("v"))).Len() != 1 || m.Stats().Dropped != 1 {
			t.Errorf("logged %v", logs.All())
		}
	})
}

// TestManagerID: two runs of a module under one manager find the same one.
func TestManagerID(t *testing.T) {
	first, second := connectMemory(t, &memoryHub{}, nil), connectMemory(t, &memoryHub{}, nil)
	if id := first.ManagerID(); id == "" || id != second.ManagerID() {
		t.Errorf("the manager is %q and %q", id, second.ManagerID())
	}
	named := connectMemory(t, &memoryHub{}, func(o *Options) { o.ManagerID = "second run" })
	if id := named.ManagerID(); id != "second run" {
		t.Errorf("the manager is %q", id)
	}
}
