package everest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// subscribeRuntime registers the topics for the messages between the manager and the runtime.
func (m *Module) subscribeRuntime() {
	own := func(topic string, handle func(Message)) {
		if topic == "" {
			return // the family has no such topic
		}
		queue := m.dispatcher.newQueue(topic)
		m.router.addTopic(topic, &subscription{queue: queue, handle: func(_ context.Context, message Message, _ time.Time) {
			handle(message)
		}})
	}
	if !m.wire.Has(wire.ConfigFiles) {
		own(m.wire.ConfigResponseTopic(m.options.ModuleID), m.takeConfigResponse)
	}
	own(m.wire.GlobalReadyTopic(), m.takeGlobalReady)
	own(m.wire.ShutdownTopic(), m.takeShutdown)
	own(m.wire.ClearTopic(), m.takeCleared)
	own(m.wire.SettingsTopic(), m.takeSettings)
	own(m.wire.ModuleNamesTopic(), m.takeModuleNames)
	if start := m.wire.ManagerStartTopic(); start != m.wire.ModuleNamesTopic() {
		own(start, m.takeManagerStart)
	}
	if !m.spawned {
		own(m.options.EverestPrefix+"interfaces", m.takeInterfaces)
	}

	if m.wire.Has(wire.ConfigFiles) && !m.spawned {
		for id := range m.files.Names {
			if id != m.options.ModuleID && wire.ValidLevel(id) {
				topic := m.wire.ModuleReadyTopic(id)
				m.router.addTopic(topic, &subscription{queue: m.dispatcher.newQueue(topic), handle: m.takeReadyOfOther})
			}
		}
	}
	if filter := m.wire.ManifestFilter(); filter != "" {
		manifests := m.dispatcher.newQueue(filter)
		m.router.setManifests(&subscription{queue: manifests, handle: func(_ context.Context, message Message, _ time.Time) {
			m.takeManifest(message)
		}})
	}
	replies := m.dispatcher.newQueue("replies to " + m.options.ModuleID)
	m.router.setReplies(&subscription{queue: replies, handle: func(_ context.Context, message Message, _ time.Time) {
		m.takeReply(message)
	}})
}

// takeReadyOfOther says ready again when another module does so after the global ready. It may have been started by a new
// manager, which waits for this module, and publishes nothing else by which it could be noticed. A manager that has not
// started anew takes a repeated ready.
func (m *Module) takeReadyOfOther(_ context.Context, message Message, arrived time.Time) {
	if ready := m.allReady.Load(); message.Retained || ready == nil || arrived.Before(*ready) {
		return
	}
	err := m.sameFamily()
	if err != nil {
		m.Fail(err)
		return
	}
	if err := m.sayReady(context.Background()); err != nil {
		m.log.Debug("not ready again", zap.Error(err))
	}
}

func (m *Module) takeGlobalReady(message Message) {
	ready, err := m.wire.ReadGlobalReady(message.Payload)
	if err != nil {
		m.dropped.drop(message.Topic, err)
		return
	}
	if ready {
		notify(m.events.globalReady)
	}
}

// takeShutdown reads the only message below the prefix that has no envelope.
func (m *Module) takeShutdown(message Message) {
	if strings.TrimSpace(string(message.Payload)) != "true" || message.Retained {
		m.dropped.drop(message.Topic, fmt.Errorf("want the live text true, not %.40q", message.Payload))
		return
	}
	m.log.Info("the manager asks to end")
	m.Fail(ErrShutdown)
}

func notify(event chan struct{}) {
	select {
	case event <- struct{}{}:
	default:
	}
}

// Settings holds the facts about the EVerest installation that the manager publishes at its start. Known is false when
// the module has not received them, for example because it was restarted alone.
type Settings struct {
	Known            bool   `json:"-"`
	Prefix           string `json:"prefix"`
	EtcDir           string `json:"etc_dir"`
	DataDir          string `json:"data_dir"`
	ModulesDir       string `json:"modules_dir"`
	ValidateSchema   bool   `json:"validate_schema"`
	TelemetryEnabled bool   `json:"telemetry_enabled"`
	TelemetryPrefix  string `json:"telemetry_prefix"`
}

// startData holds the content of the manager's start-up topics. It arrives as retained messages, later as live ones, or
// not at all.
type startData struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at each change
	settings Settings
	names    map[string]string   // module id -> module name
	named    time.Time           // when names arrived
	provides map[string][]string // module name -> implementation ids
}

func newStartData() startData {
	return startData{changed: make(chan struct{}), provides: map[string][]string{}}
}

func (s *startData) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *startData) snapshot() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings
}

func (s *startData) validate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings.ValidateSchema
}

// namesSince returns when the manager's last start-up topic arrived, the zero time before.
func (s *startData) namesSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.named
}

// implementations returns the module id and implementation id of all known implementations. complete reports whether
// the manifest of every module is known.
func (s *startData) implementations() (list [][2]string, complete bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	complete = len(s.names) > 0
	for id, name := range s.names {
		provides, known := s.provides[name]
		complete = complete && known
		for _, implementation := range provides {
			list = append(list, [2]string{id, implementation})
		}
	}
	return list, complete
}

// wait returns when the settings have arrived, with all manifests if these are wanted, or when the time is over.
func (s *startData) wait(ctx context.Context, within time.Duration, manifests bool) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		s.mu.Lock()
		changed, known := s.changed, s.settings.Known
		s.mu.Unlock()
		_, complete := s.implementations()
		if known && (complete || !manifests) {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// startValue returns nil for an unreadable message, and for one that clears the topic.
func (m *Module) startValue(message Message) json.RawMessage {
	if len(message.Payload) == 0 {
		return nil
	}
	data, err := m.wire.ReadStart(message.Payload)
	if err != nil {
		m.dropped.drop(message.Topic, err)
		return nil
	}
	return data
}

func (m *Module) takeSettings(message Message) {
	data := m.startValue(message)
	if data == nil {
		return
	}
	settings := Settings{Known: true}
	if err := json.Unmarshal(data, &settings); err != nil {
		m.dropped.drop(message.Topic, err)
		return
	}
	m.start.update(func() { m.start.settings = settings })
}

// ModuleNames returns the names of all modules, such as "EvseManager", by their ids. It is empty when the module has not
// received them from the manager, for example because it was restarted alone.
func (m *Module) ModuleNames() map[string]string {
	m.start.mu.Lock()
	defer m.start.mu.Unlock()
	return maps.Clone(m.start.names)
}

// takeManagerStart detects the start of a manager, which publishes the topic live only then.
func (m *Module) takeManagerStart(message Message) {
	if m.startValue(message) != nil && !message.Retained {
		notify(m.events.managerStarted)
	}
}

// takeModuleNames also detects the start of a manager, if the topic shows it.
func (m *Module) takeModuleNames(message Message) {
	data := m.startValue(message)
	if data == nil {
		return
	}
	var names map[string]string
	if err := json.Unmarshal(data, &names); err != nil {
		m.dropped.drop(message.Topic, err)
		return
	}
	m.start.update(func() { m.start.names, m.start.named = names, time.Now() })
	if !message.Retained && m.wire.ManagerStartTopic() == m.wire.ModuleNamesTopic() {
		notify(m.events.managerStarted)
	}
}

func (m *Module) takeManifest(message Message) {
	data := m.startValue(message)
	if data == nil {
		return
	}
	manifests, _ := m.wire.Manifests(message.Topic, data)
	for name, text := range manifests {
		var manifest struct {
			Provides map[string]json.RawMessage `json:"provides"`
		}
		if err := json.Unmarshal(text, &manifest); err != nil {
			m.dropped.drop(message.Topic, err)
			return
		}
		provides := make([]string, 0, len(manifest.Provides))
		for id := range manifest.Provides {
			if wire.ValidLevel(id) {
				provides = append(provides, id)
			}
		}
		m.start.update(func() { m.start.provides[name] = provides })
	}
}

// wantGlobalErrors subscribes the errors of all modules if there is a handler for them. It uses one filter for each
// implementation when all are known, and a wildcard otherwise.
func (m *Module) wantGlobalErrors() {
	if !m.router.hasGlobalErrors() {
		return
	}
	list, complete := m.start.implementations()
	if !complete {
		m.log.Debug("subscribing the errors of all modules by a wildcard")
		m.router.wantGlobalErrors([]string{m.wire.Implementation("+", "+")})
		return
	}
	filters := make([]string, 0, len(list))
	for _, implementation := range list {
		if !wire.ValidLevel(implementation[0]) {
			continue
		}
		filters = append(filters, m.wire.Implementation(implementation[0], implementation[1]))
	}
	m.router.wantGlobalErrors(filters)
}

// Settings returns the settings of the manager that have been received so far.
func (m *Module) Settings() Settings { return m.start.snapshot() }

// logDrop logs a message that a handler could not read.
func (m *Module) logDrop(message Message, err error) {
	m.dropped.drop(message.Topic, err)
	m.log.Debug("dropped payload", zap.String("topic", message.Topic), zap.ByteString("payload", message.Payload[:min(len(message.Payload), 200)]))
}
