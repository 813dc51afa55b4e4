package everest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/remotechargeport/remotechargeport/everest/internal/family"
	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// publishes records what a module publishes on a hub.
type publishes struct {
	*memoryHub
	mu   sync.Mutex
	sent []Message
}

type recordedTransport struct {
	Transport
	to *publishes
}

func (p *publishes) open(ctx context.Context, config TransportConfig) (Transport, error) {
	transport, err := p.memoryHub.open(ctx, config)
	return recordedTransport{transport, p}, err
}

func (t recordedTransport) Publish(ctx context.Context, topic string, payload []byte, delivery Delivery) error {
	t.to.mu.Lock()
	t.to.sent = append(t.to.sent, Message{Topic: topic, Payload: payload})
	t.to.mu.Unlock()
	return t.Transport.Publish(ctx, topic, payload, delivery)
}

func (p *publishes) messages() []Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// frameworkMarks are in the libraries of the families. They are made at run time, so that no program has them whole.
func frameworkMarks(name string) string {
	marks := map[string][]string{
		"A1":  {"{}request-", "clear-error"},
		"A2":  {"{}/error-", "cleared/{}"},
		"A3":  {"{}/error-", "cleared/{}", "\x00", "please fix ", "your config file"},
		"B1":  {"{}modules/{}/", "get_config", "\x00", "{}/error-", "cleared/{}"},
		"B2":  {"{}modules/{}/", "get_config", "\x00", "{}error_", "types_map"},
		"B3":  {"{}modules/{}/", "get_config"},
		"B4a": {"{}config/", "request"},
		"B4b": {"{}config/", "request", "\x00", "__everest__", "error_type"},
		"C":   {"{}/response", "/{}"},
		"D":   {"/config/", "set_request"},
	}
	return strings.Join(marks[name], "")
}

func installLibrary(t testing.TB, prefix, name string) {
	t.Helper()
	directory := filepath.Join(prefix, "lib")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(directory, "libframework.so")
	if err := os.WriteFile(file+".new", []byte(strings.Repeat("\x00", 1000)+frameworkMarks(name)+"\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// startMessage is what a manager of a family publishes first.
func startMessage(name string, retained bool) Message {
	payload := map[string]string{
		"B2": `["meter"]`, "C": `{"data":["meter"],"msg_type":"GetConfigResponse"}`, "D": `{"data":["meter"],"msg_type":"ConfigurationResponse"}`,
		"none": "garbage", "other": `{"data":["meter"],"msg_type":"Other"}`,
	}[name]
	return Message{Topic: "everest/interfaces", Payload: []byte(payload), Retained: retained}
}

// configRequestOf is the family of a config request.
func configRequestOf(message Message) string {
	for _, release := range wire.Families() {
		w := release.New("everest/")
		want := w.ConfigRequest([]byte(`{"type":"Get","origin":"one","request":{"type":"Module"}}`))
		if message.Topic == w.ConfigRequestTopic("one") && string(message.Payload) == string(want) {
			return release.Name
		}
	}
	return "?"
}

// Whatever a module finds and hears: it publishes nothing before that decides, and then only messages of that family. A
// manager of another family that starts later gets none.
func TestPublishesNothingOfAnotherFamily(t *testing.T) {
	names := []string{"C", "D", "B2", "none", "other"}
	rapid.Check(t, func(r *rapid.T) {
		wish := rapid.SampledFrom([]string{"", "", "C", "D"}).Draw(r, "wish")
		library := rapid.SampledFrom([]string{"", "", "", "C", "D", "none"}).Draw(r, "library")
		type step struct {
			name     string
			retained bool
		}
		var steps []step
		for range rapid.IntRange(1, 6).Draw(r, "steps") {
			steps = append(steps, step{rapid.SampledFrom(names).Draw(r, "message"), rapid.Bool().Draw(r, "retained")})
		}
		prefix := t.TempDir()
		if library != "" {
			installLibrary(t, prefix, library)
		}
		synctest.Test(t, func(t *testing.T) {
			hub := &publishes{memoryHub: &memoryHub{}}
			spawned := false
			ended := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				_, err := Connect(ctx, Options{ModuleID: "one", Wire: wish, InstallPrefix: prefix, OpenTransport: hub.open, Spawned: &spawned})
				ended <- err
			}()
			// What is known of the family, as a person would say it.
			known, fixed, over := wish, wish != "", false
			if known == "" && (library == "C" || library == "D") {
				known, fixed = library, true
			}
			check := func(where string) {
				synctest.Wait()
				for _, message := range hub.messages() {
					if got := configRequestOf(message); got != known {
						t.Fatalf("%s: published %s %s of family %s, known is %q", where, message.Topic, message.Payload, got, known)
					}
				}
				if known != "" && len(hub.messages()) == 0 {
					t.Fatalf("%s: nothing is published, although the family is %s", where, known)
				}
			}
			check("at the start")
			for i, step := range steps {
				hub.deliver(startMessage(step.name, step.retained))
				real := step.name == "C" || step.name == "D" || step.name == "B2"
				switch {
				case fixed || step.name == "none":
				case step.retained:
					if known == "" && (step.name == "C" || step.name == "D") {
						known = step.name
					}
				case known == "" && (step.name == "C" || step.name == "D"):
					known = step.name
				case known == "" && step.name == "other", known != "" && step.name != known && (real || step.name == "other"):
					over = true
				}
				before := len(hub.messages())
				if over {
					synctest.Wait()
					time.Sleep(time.Minute)
					synctest.Wait()
					if now := len(hub.messages()); now != before {
						t.Fatalf("step %d: %d messages after the end", i, now-before)
					}
					err := <-ended
					if !errors.Is(err, ErrReleaseChanged) && !errors.Is(err, family.ErrNotSpoken) {
						t.Fatalf("step %d: ended with %v", i, err)
					}
					ended <- err
					break
				}
				if live := !step.retained && step.name == "B2" && known == ""; live {
					break // the family is among those of B, whatever follows
				}
				check(fmt.Sprint("step ", i, " ", step))
			}
			cancel()
			<-ended
			for _, transport := range hub.transports {
				transport.Close()
			}
		})
	})
}

// A standalone module that has been ready does not remind a manager of another family.
func TestEndsWhenEverestIsUpgraded(t *testing.T) {
	prefix := t.TempDir()
	for name, upgrade := range map[string]func(*memoryHub){
		"the library is another one":      func(*memoryHub) { installLibrary(t, prefix, "D") },
		"the library is of older release": func(*memoryHub) { installLibrary(t, prefix, "A3") },
		"a manager starts": func(hub *memoryHub) {
			os.RemoveAll(filepath.Join(prefix, "lib"))
			hub.deliver(startMessage("D", false))
		},
	} {
		t.Run(name, func(t *testing.T) {
			installLibrary(t, prefix, "C")
			synctest.Test(t, func(t *testing.T) {
				hub := &publishes{memoryHub: &memoryHub{}}
				manager := memoryManager("one", memoryConfig)
				hub.answer = func(message Message) []Message {
					if strings.HasSuffix(message.Topic, "/ready") {
						return nil // others are not ready
					}
					return manager(message)
				}
				spawned := false
				m, err := Connect(t.Context(), Options{ModuleID: "one", InstallPrefix: prefix, OpenTransport: hub.open, Spawned: &spawned})
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- m.Run(t.Context()) }()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				before := len(hub.messages())
				if ready := len(hub.on("everest/modules/one/ready")); ready < 3 {
					t.Fatalf("%d times ready", ready)
				}
				upgrade(hub.memoryHub)
				if err := <-ended; !errors.Is(err, ErrReleaseChanged) || strings.Contains(err.Error(), "\n") {
					t.Errorf("ended with %v", err)
				}
				if now := len(hub.messages()); now != before {
					t.Errorf("%d messages after the upgrade: %+v", now-before, hub.messages()[before:])
				}
			})
		})
	}
}

// Without any evidence a module waits, says what it has looked at, and what would help.
func TestWaitsForEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &publishes{memoryHub: &memoryHub{answer: memoryManager("one", memoryConfig)}}
		core, logs := observer.New(zap.InfoLevel)
		spawned := false
		options := Options{ModuleID: "one", InstallPrefix: "/no/such/prefix", OpenTransport: hub.open, Spawned: &spawned, Logger: zap.New(core)}
		connected := make(chan *Module, 1)
		go func() {
			m, err := Connect(t.Context(), options)
			if err != nil {
				t.Error(err)
			}
			connected <- m
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if sent := hub.messages(); len(sent) != 0 {
			t.Errorf("published %+v", sent)
		}
		waiting := logs.FilterMessageSnippet("cannot tell which release").All()
		if len(waiting) == 0 || len(waiting) > 20 || !strings.Contains(fmt.Sprint(waiting[0].ContextMap()["looked_at"]), "/no/such/prefix/bin/manager") || !strings.Contains(waiting[0].Message, "EV_WIRE") {
			t.Errorf("log: %+v", waiting)
		}
		hub.deliver(startMessage("C", false))
		m := <-connected
		if m == nil {
			return
		}
		found := logs.FilterMessage("release of EVerest found out").All()
		if len(found) != 1 || found[0].ContextMap()["family"] != "C" || found[0].ContextMap()["reason"] != "the manager's message on interfaces" {
			t.Errorf("log: %+v", found)
		}
		m.Close()

		options.ConfigAttempts = 2
		if _, err := Connect(t.Context(), options); !errors.Is(err, errNoFamily) || !strings.Contains(err.Error(), "/no/such/prefix") {
			t.Errorf("with a bound: %v", err)
		}
	})
}

// What contradicts itself is refused before there is a connection, in one line.
func TestRefusesContradictions(t *testing.T) {
	if _, err := Connect(t.Context(), Options{ModuleID: "one", Wire: "Z"}); err == nil || !strings.Contains(err.Error(), "B4a") {
		t.Errorf("a family that is none: %v", err)
	}
	prefix := t.TempDir()
	installLibrary(t, prefix, "C")
	_, err := Connect(t.Context(), Options{ModuleID: "one", InstallPrefix: prefix, ConfigFile: "/etc/everest/config.yaml"})
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "correct the command line") || !strings.Contains(err.Error(), "/etc/everest/config.yaml") {
		t.Errorf("a command line of one family and a library of another: %v", err)
	}
}

// A module that is started alone under EVerest 2025.12, after all were ready, says what will happen.
func TestWarnsOfTheSecondReady(t *testing.T) {
	for version, warned := range map[string]bool{"2025.12.1": true, "2026.02.0": false} {
		prefix := t.TempDir()
		installVersion(t, prefix, "C", version)
		core, logs := observer.New(zap.WarnLevel)
		connectMemory(t, &memoryHub{}, func(o *Options) {
			o.Wire, o.InstallPrefix, o.Spawned, o.Logger, o.StartDataTimeout = "", prefix, new(false), zap.New(core), time.Millisecond
		})
		if got := logs.FilterMessageSnippet("C++ modules of EVerest 2025.12 end").Len(); got == 1 != warned {
			t.Errorf("version %s: %d warnings", version, got)
		}
	}
}
