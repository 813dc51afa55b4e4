package everest_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// familyFlag lets the whole checklist run with the manager of family D. Tests of the checklist look at the topics of C and
// D; TestEveryFamily is for the others.
var familyFlag = flag.String("everest.family", "C", "family of messages of the stations in the tests")

// onlyFamilyC skips a test that looks at the bytes of family C.
func onlyFamilyC(t *testing.T) {
	t.Helper()
	if *familyFlag != "C" {
		t.Skip("the test is about the bytes of family C")
	}
}

// versionOf is a version of EVerest that has a family.
var versionOf = map[string]string{"A1": "2024.3.0", "A2": "2024.5.0", "A3": "2024.9.0", "B4a": "2025.7.0", "B4b": "2025.9.0"}

// TestEveryFamily has two modules find out the family by themselves, and do everything that modules do to each other.
func TestEveryFamily(t *testing.T) {
	for _, name := range everesttest.Families() {
		t.Run(name, func(t *testing.T) {
			release, _ := wire.Find(name)
			can := release.New("everest/").Has
			broker := everesttest.NewBroker(t)
			config := bellConfig(t, broker)
			config.Family, config.EverestPrefix, config.Settings.Prefix = name, "own", t.TempDir()
			writeVersion(t, config.Settings.Prefix, versionOf[name])
			manager := everesttest.NewManager(t, config)
			recorder := everesttest.NewRecorder(t, broker, "own/#")
			start := func(id string, prepare func(*everest.Module)) *everesttest.Process {
				options := manager.Options(id)
				options.Wire, options.ReadyReminder = "", everesttest.Patience
				return everesttest.RunModule(t, options, prepare)
			}
			prepareTower := func(m *everest.Module) {
				m.Provides("main").Handle("ring", ring)
				m.Provides("main").Handle("stop", func(context.Context, everest.Args) (any, error) { return nil, errors.New("it does not stop") })
			}
			tower := start("tower", prepareTower)
			values, happened, global := make(chan json.RawMessage, 10), make(chan everest.ErrorEvent, 10), make(chan everest.ErrorEvent, 10)
			ringer := start("ringer", func(m *everest.Module) {
				bell := m.Requires("bell")[0]
				bell.Subscribe("last", func(_ context.Context, value json.RawMessage) { values <- value })
				bell.SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) { happened <- event })
				m.SubscribeGlobalErrors(func(_ context.Context, event everest.ErrorEvent) { global <- event })
				m.Provides("own").Handle("ring", ring)
			})
			everesttest.WaitReady(t, manager)
			for _, process := range []*everesttest.Process{tower, ringer} {
				if got := everest.FamilyOf(process.Module); got != name {
					t.Fatalf("module %s speaks family %s", process.Module.ID(), got)
				}
			}
			both := func(tower *everest.Module) {
				t.Helper()
				var said string
				bell := ringer.Module.Requires("bell")[0]
				if err := bell.Call(patient(t), "ring", map[string]any{"text": "<é>", "times": 1}, &said); err != nil || said != "ding <é>" {
					t.Errorf("ring: %q, %v", said, err)
				}
				err := bell.Call(patient(t), "stop", nil, nil)
				failed, isFailure := errors.AsType[*everest.CommandError](err)
				if can(wire.Failures) != isFailure || isFailure && (failed.Type != everest.HandlerException || failed.Message != "it does not stop") {
					t.Errorf("stop: %v", err)
				}
				main := tower.Provides("main")
				if err := main.Publish(patient(t), "last", raw(`{"text":"a",  "more":1.50}`)); err != nil {
					t.Error(err)
				}
				if got := receive(t, values); string(got) != `{"text":"a",  "more":1.50}` {
					t.Errorf("value %s", got)
				}
				if err := main.Raise(patient(t), everest.Error{Type: "bell/Stuck", SubType: "cold", Message: "too cold", Severity: everest.SeverityHigh}); err != nil {
					t.Error(err)
				}
				for _, events := range []chan everest.ErrorEvent{happened, global} {
					e := receive(t, events)
					if !e.Raised || e.Error.Type != "bell/Stuck" || e.Error.SubType != "cold" || e.Error.Origin.Mapping == nil || *e.Error.Origin.Mapping.Connector != 2 {
						t.Errorf("raised: %+v", e)
					}
				}
				if err := main.Clear(patient(t), "bell/Stuck", "cold"); err != nil {
					t.Error(err)
				}
				for _, events := range []chan everest.ErrorEvent{happened, global} {
					if e := receive(t, events); e.Raised || e.Error.State != everest.StateClearedByModule || e.Error.Message != "too cold" {
						t.Errorf("cleared: %+v", e)
					}
				}
			}
			both(tower.Module)
			parameter, err := tower.Module.ConfigValue(patient(t), everest.ConfigID{Module: "tower", Parameter: "weight"})
			if can(wire.ConfigService) && (err != nil || string(parameter.Value) != "5") || !can(wire.ConfigService) && !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("parameter %s, %v", parameter.Value, err)
			}
			// Nothing is retained any more, so the library must tell a module that is started again.
			if err := tower.Stop(); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			everest.InstallLibrary(t, config.Settings.Prefix, name)
			tower = start("tower", prepareTower)
			if err := manager.WaitGlobalReady(patient(t), 2); err != nil {
				t.Fatal(err)
			}
			both(tower.Module)
			for _, message := range recorder.Messages() {
				if err := manager.CheckMessage(message); err != nil {
					t.Error(err)
				}
			}
			if err := manager.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A manager of EVerest up to 2024.10 publishes nothing at its start. A standalone module notices it by the others.
func TestManagerWithFilesStartsAgain(t *testing.T) {
	broker := everesttest.NewBroker(t)
	config := bellConfig(t, broker)
	config.Family, config.Settings.Prefix = "A3", t.TempDir()
	first, err := everesttest.StartManager(patient(t), config)
	if err != nil {
		t.Fatal(err)
	}
	start := func(manager *everesttest.Manager, id string) *everesttest.Process {
		options := manager.Options(id)
		options.ReadyReminder = everesttest.Patience
		return everesttest.RunModule(t, options, nil)
	}
	tower := start(first, "tower")
	start(first, "ringer")
	everesttest.WaitReady(t, first)
	first.Close()
	if err := tower.Stop(); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	second := everesttest.NewManager(t, config)
	start(second, "tower")
	everesttest.WaitReady(t, second)
}

// A manager of family D says at once that its configuration has no such module.
func TestUnknownModuleOfFamilyD(t *testing.T) {
	broker := everesttest.NewBroker(t)
	config := bellConfig(t, broker)
	config.Family = "D"
	options := everesttest.NewManager(t, config).Options("stranger")
	_, err := everest.Connect(patient(t), options)
	if err == nil || !strings.Contains(err.Error(), "Unknown origin module: stranger") {
		t.Errorf("%v", err)
	}
}

// TestConfusionOfFamilies sends each manager the first messages of the modules of each family. A manager that would end
// shows what a module that guesses would do.
func TestConfusionOfFamilies(t *testing.T) {
	enveloped := func(name string) bool { return name == "C" || name == "D" }
	for _, of := range everesttest.Families() {
		for _, sender := range everesttest.Families() {
			t.Run(sender+" to "+of, func(t *testing.T) {
				broker := everesttest.NewBroker(t)
				config := bellConfig(t, broker)
				config.Family, config.Settings.Prefix = of, t.TempDir()
				manager, err := everesttest.StartManager(patient(t), config)
				if err != nil {
					t.Fatal(err)
				}
				defer manager.Close()
				release, _ := wire.Find(sender)
				w := release.New("everest/")
				client := newWireClient(t, broker)
				if w.Has(wire.ConfigFiles) {
					client.publish(t, w.MetadataTopic("tower"), `{}`)
				} else {
					client.publish(t, w.ConfigRequestTopic("tower"), string(w.ConfigRequest(raw(`{"type":"Get","origin":"tower","request":{"type":"Module"}}`))))
				}
				client.publish(t, w.ModuleReadyTopic("tower"), string(w.ModuleReady()))
				ends := enveloped(sender) && (enveloped(of) && of != sender || !enveloped(of) && strings.HasPrefix(of, "B"))
				if ends {
					<-manager.Done()
					if err := manager.Err(); !errors.Is(err, everesttest.ErrPoisoned) {
						t.Errorf("the manager ends with %v", err)
					}
					return
				}
				own, _ := wire.Find(of)
				client.publish(t, own.New("everest/").ModuleReadyTopic("tower"), string(own.New("everest/").ModuleReady()))
				client.publish(t, own.New("everest/").ModuleReadyTopic("ringer"), string(own.New("everest/").ModuleReady()))
				everesttest.WaitReady(t, manager)
			})
		}
	}
}

func writeVersion(t testing.TB, prefix, version string) {
	t.Helper()
	if version == "" {
		return
	}
	directory := filepath.Join(prefix, "share/everest")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "version_information.txt"), []byte(strings.Join([]string{"everest-core", version, "HEAD@" + version}, " ")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}
