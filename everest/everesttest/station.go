package everesttest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// The ids of the two modules of a Station.
const (
	// ModuleID is the id of the module under test.
	ModuleID = "module"
	// worldID is the id of the module that has all fakes.
	worldID = "world"
)

// noReminder is longer than any test: modules need not say ready again, because the manager listens before they start.
const noReminder = 24 * time.Hour

// StationConfig describes the module under test.
type StationConfig struct {
	// Manifest is the manifest.yaml of the module.
	Manifest []byte
	// Config and ImplementationConfig are as in ModuleConfig.
	Config               map[string]any
	ImplementationConfig map[string]map[string]any
	// Connections is how many connections each requirement has. The default is its min_connections.
	Connections map[string]int
	Mapping     *ModuleMapping
	// Settings are the settings of the manager.
	Settings Settings
	// Family is the family of messages, one of Families. The default is "C".
	Family string
	// Definitions has the interface definitions. The default is the result of schema.BuiltIn.
	Definitions *schema.Definitions
	// Broker is the broker to use. The default is an embedded one, or the broker of the flag -url.
	Broker everest.Broker
	// Logger is the logger of the manager and the modules. By default nothing is logged.
	Logger *zap.Logger
	// Patience is how long the methods of the station wait. The default is the variable Patience.
	Patience time.Duration
}

// Station is a module under test with a broker, a manager, a fake for each of its requirements, and a caller of its
// commands. Expect checks what the module does. Proxy is between the module and the broker, and can make their
// connection fail. Expect may be called from one goroutine, the other methods from several.
type Station struct {
	// Recorder records all messages below the EVerest prefix.
	Manager  *Manager
	Recorder *Recorder
	Proxy    *Proxy
	// Process is the running module under test.
	Process *Process

	t        testing.TB
	prefix   string
	manifest *install.Manifest
	run      func(ctx context.Context, options everest.Options) error
	world    *everest.Module
	fakes    map[string][]*Fake
	seen     int // how many recorded messages Expect has passed
	patience time.Duration

	mu     sync.Mutex
	faults faults
}

// NewStation starts a station and waits until all modules are ready. run is the module under test: it connects with the
// options and returns when ctx ends. At the end of the test the station ends. It fails the test for messages of the module
// and of the fakes that Manager.CheckMessage rejects, for handlers and subscriptions that the interfaces do not declare,
// for commands without a handler, for messages before all modules are ready, and if the module has ended by itself.
// TryCall and Recorder.Publish send what is not checked.
func NewStation(t testing.TB, config StationConfig, run func(ctx context.Context, options everest.Options) error) *Station {
	t.Helper()
	s := &Station{t: t, run: run, fakes: map[string][]*Fake{}, patience: cmp.Or(config.Patience, Patience)}
	manifest, err := install.ParseManifest(config.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	s.manifest = manifest
	if config.Definitions == nil {
		if config.Definitions, err = schema.BuiltIn(); err != nil {
			t.Fatal(err)
		}
	}
	if config.Broker == (everest.Broker{}) {
		config.Broker = NewBroker(t)
	}
	if dialects[config.Family].configFiles && config.Settings.Prefix == "" {
		config.Settings.Prefix = t.TempDir()
	}
	s.Manager = NewManager(t, s.managerConfig(config))
	s.prefix = s.Manager.prefix
	s.Recorder = NewRecorder(t, config.Broker, s.prefix+"#")
	s.Proxy = NewProxy(t, config.Broker)
	t.Cleanup(s.checkMessages)
	world := s.Manager.Options(worldID)
	world.UncheckedCalls = true
	world.ReadyReminder = noReminder
	s.world = RunModule(t, world, s.prepareWorld).Module
	s.Start()
	s.waitReady(1)
	return s
}

// managerConfig connects the module under test to one other module, which provides its requirements and requires what
// it provides.
func (s *Station) managerConfig(config StationConfig) ManagerConfig {
	manifest := s.manifest
	var provides, requires strings.Builder
	connections := map[string][]Connection{}
	for _, requirement := range manifest.RequirementIDs() {
		declared := manifest.Requires[requirement]
		count, given := config.Connections[requirement]
		if !given {
			count = declared.MinConnections
		}
		for i := range count {
			id := requirement + "_" + strconv.Itoa(i)
			fmt.Fprintf(&provides, "  %s: {interface: %s, description: a fake}\n", id, declared.Interface)
			connections[requirement] = append(connections[requirement], Connection{worldID, id})
			s.fakes[requirement] = append(s.fakes[requirement], &Fake{station: s, id: id, definitions: config.Definitions, interfaceName: declared.Interface})
		}
	}
	world := map[string][]Connection{}
	for _, implementation := range manifest.ImplementationIDs() {
		fmt.Fprintf(&requires, "  %s: {interface: %s}\n", implementation, manifest.Provides[implementation].Interface)
		world[implementation] = []Connection{{ModuleID, implementation}}
	}
	worldManifest := "description: fakes for the module under test\nmetadata: {license: 'https://spdx.org/licenses/Apache-2.0', authors: [a test]}\n" +
		"provides:\n" + provides.String() + "requires:\n" + requires.String()
	return ManagerConfig{
		Broker: config.Broker, Family: config.Family, Settings: config.Settings, Definitions: config.Definitions, Logger: config.Logger,
		Modules: map[string]ModuleConfig{
			ModuleID: {
				Module: "ModuleUnderTest", Manifest: config.Manifest, Config: config.Config, ImplementationConfig: config.ImplementationConfig,
				Connections: connections, Mapping: config.Mapping,
			},
			worldID: {Module: "World", Manifest: []byte(worldManifest), Connections: world},
		},
	}
}

func (s *Station) prepareWorld(world *everest.Module) {
	for _, fakes := range s.fakes {
		for _, fake := range fakes {
			fake.prepare(world.Provides(fake.id))
		}
	}
}

// Start starts the module under test again after Process has ended.
func (s *Station) Start() {
	s.t.Helper()
	options := s.Manager.Options(ModuleID)
	options.Broker = s.Proxy.Address()
	// The manager already listens, and would take a second ready for a restart.
	options.ReadyReminder = noReminder
	options.Observer = s.observe()
	s.Process = Run(s.t, ModuleID, func(ctx context.Context) error { return s.run(ctx, options) })
}

// Restart ends the module under test, starts it again and waits until all modules are ready again.
func (s *Station) Restart() {
	s.t.Helper()
	before := s.Manager.GlobalReadyCount()
	if err := s.Process.Stop(); err != nil && !errors.Is(err, context.Canceled) {
		s.t.Fatalf("module under test: %v", err)
	}
	s.Start()
	s.waitReady(before + 1)
}

// bounded returns the context of a wait.
func (s *Station) bounded() (context.Context, context.CancelFunc) {
	return boundedBy(s.t, s.patience)
}

func (s *Station) waitReady(count int) {
	s.t.Helper()
	ctx, cancel := s.bounded()
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- s.Manager.WaitGlobalReady(ctx, count) }()
	select {
	case err := <-ready:
		if err != nil {
			s.t.Fatal(err)
		}
	case <-s.Process.done:
		cancel()
		<-ready
		s.t.Fatalf("the module under test ended before it was ready: %v", s.Process.Stop())
	}
}

// checkMessages fails the test for what is wrong with the module under test, and for the faults found before. The proxy
// has all that the module sent, in the module's order; the recorder may lack the last messages, and may get the messages
// of two senders in another order.
func (s *Station) checkMessages() {
	allReady := false
	for _, packet := range s.Proxy.Packets() {
		allReady = allReady || packet.Type == "PUBLISH" && !packet.FromClient && packet.Topic == s.prefix+"ready"
		if packet.Type != "PUBLISH" || !packet.FromClient {
			continue
		}
		message := Message{Topic: packet.Topic, Payload: packet.Payload, QoS: packet.QoS, Retained: packet.Retained}
		wrong := s.Manager.checkMessage(message)
		if said, known := s.Manager.dialect().contentOf(s.prefix, message); wrong == nil && !allReady && known && said.Kind != KindReply {
			wrong = fmt.Errorf("module %s: %s %s before all modules are ready: modules that still start do not get it; wait for OnReady", ModuleID, said.Kind, said.Name)
		}
		if wrong != nil {
			s.fault(message.Topic+"\x00"+wrong.Error(), describe(message, wrong).Error())
		}
	}
	if s.Process != nil && s.Process.endedEarly() && !s.Manager.hasShutDown() {
		s.fault("", "everesttest: the module under test ended by itself; EVerest's manager then ends all modules")
	}
	for _, text := range s.faults.list() {
		s.t.Error(text)
	}
}

// observe records what the module under test does wrong without a message.
func (s *Station) observe() everest.Observer {
	return everest.Observer{
		Registered: func(told everest.Registrations) {
			if err := s.Manager.contract().checkRegistrations(ModuleID, told); err != nil {
				s.fault(err.Error(), "everesttest: "+err.Error())
			}
		},
		Refused: func(err error) { s.fault(err.Error(), "everesttest: module "+ModuleID+": not sent: "+err.Error()) },
	}
}

func (s *Station) fault(key, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.add(key, text)
}

// Call calls a command of the module under test and decodes the result, unless result is nil. An error ends the test, as
// do a command or arguments that the interface does not have.
func (s *Station) Call(implementation, command string, arguments, result any) {
	s.t.Helper()
	encoded, err := json.Marshal(arguments)
	if err == nil {
		said := content{Subject: Subject{Kind: KindCommand, Name: command}, value: encoded}
		err = checkSaid(s.Manager.config.Definitions, s.manifest.Provides[implementation].Interface, said)
	}
	if err != nil {
		s.t.Fatalf("%s.%s: %v", implementation, command, err)
	}
	if err := s.TryCall(implementation, command, arguments, result); err != nil {
		s.t.Fatalf("%s.%s: %v", implementation, command, err)
	}
}

// TryCall calls a command of the module under test and returns its error. It sends any command and arguments.
func (s *Station) TryCall(implementation, command string, arguments, result any) error {
	s.t.Helper()
	ctx, cancel := s.bounded()
	defer cancel()
	if _, provided := s.manifest.Provides[implementation]; !provided {
		s.t.Fatalf("the module under test does not provide %s; its manifest has %s", implementation, orNone(s.manifest.ImplementationIDs()))
	}
	return s.world.Requires(implementation)[0].Call(ctx, command, arguments, result)
}

// Fake returns the first fake of a requirement.
func (s *Station) Fake(requirement string) *Fake { return s.FakeAt(requirement, 0) }

// FakeAt returns a fake of a requirement by its index.
func (s *Station) FakeAt(requirement string, index int) *Fake {
	s.t.Helper()
	if fakes := s.fakes[requirement]; index < len(fakes) {
		return fakes[index]
	}
	s.t.Fatalf("requirement %s has no connection %d; see StationConfig.Connections, the manifest has requirements %s",
		requirement, index, orNone(slices.Sorted(maps.Keys(s.fakes))))
	return nil
}

// Poison publishes all PoisonPayloads on every topic to which the module under test has subscribed. It omits the topic
// shutdown, where the payload "true" would end the module, and those of which they would end the manager. Poison waits until the broker has the messages. Call a
// command afterwards to see that the module still works.
func (s *Station) Poison() {
	s.t.Helper()
	for _, packet := range s.Proxy.Packets() {
		if packet.Type != "SUBSCRIBE" {
			continue
		}
		for _, filter := range packet.Filters {
			if filter == s.prefix+"shutdown" || s.endsManager(filter) {
				continue
			}
			topic := strings.NewReplacer("+", "poison", "#", "poison/Poison").Replace(filter)
			for _, payload := range PoisonPayloads() {
				ctx, cancel := s.bounded()
				err := s.Recorder.Publish(ctx, Message{Topic: topic, Payload: payload, QoS: 2})
				cancel()
				if err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
}

// endsManager reports whether the manager itself listens on a topic, where one of PoisonPayloads would end it.
func (s *Station) endsManager(topic string) bool {
	d := s.Manager.dialect()
	return d.bare() && topic != s.prefix+"ready" && strings.HasSuffix(topic, "/ready") ||
		d.clearsErrors && (topic == s.prefix+clearTopic || strings.Contains(topic, "/error/"))
}
