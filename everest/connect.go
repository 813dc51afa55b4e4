package everest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/internal/configfile"
	"github.com/remotechargeport/remotechargeport/everest/internal/family"
	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// connect makes the first connection and builds what depends on the configuration.
func (m *Module) connect(ctx, handling context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m.ending.add(cancel) // a manager of another release may start meanwhile
	config, err := m.openLink(ctx, handling)
	if err != nil {
		return err
	}
	if m.manifest != nil {
		if err := config.checkManifest(m.manifest); err != nil {
			return fmt.Errorf("everest: module %s (%s): %w", m.options.ModuleID, config.name, err)
		}
	}
	m.config = config
	m.start.wait(ctx, m.options.StartDataTimeout, m.manifest != nil && m.manifest.EnableGlobalErrors)
	m.warnOfSecondReady()
	m.buildProvided()
	m.buildRequired()
	if config.names != nil {
		m.start.update(func() { m.start.names = config.names })
	}
	return context.Cause(ctx)
}

// openLink makes the first connection. Handlers get the context handling.
func (m *Module) openLink(ctx, handling context.Context) (*moduleConfig, error) {
	if err := m.lookForFamily(); err != nil {
		return nil, err
	}
	m.reportPhase("connecting to the broker " + m.options.Broker.String())
	transport, err := m.openTransport(ctx, handling)
	if err != nil {
		return nil, err
	}
	m.link.Store(newLink(transport))
	return m.introduce(ctx)
}

// introduce subscribes the runtime's own topics and asks for the configuration.
func (m *Module) introduce(ctx context.Context) (*moduleConfig, error) {
	if err := m.listenForFamily(ctx, m.link.Load().transport); err != nil {
		return nil, err
	}
	if err := m.subscribePending(ctx); err != nil {
		return nil, err
	}
	m.reportPhase("waiting for the manager's configuration")
	config, err := m.requestConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("everest: module %s: configuration: %w", m.options.ModuleID, err)
	}
	return config, nil
}

func (m *Module) receive(ctx context.Context, message Message) {
	m.counters.received.Add(1)
	if !m.search.found.Load() {
		m.search.hear(message)
		return
	}
	wanted, err := m.router.receive(ctx, message)
	switch {
	case err != nil:
		m.logDrop(message, err)
	case !wanted:
		m.counters.unwanted.Add(1)
	}
}

// subscribePending subscribes the topics that were registered since the last call.
func (m *Module) subscribePending(ctx context.Context) error {
	link := m.link.Load()
	for {
		pending := m.router.takePending()
		if len(pending) == 0 {
			return nil
		}
		for _, delivery := range []Delivery{ExactlyOnce, AtMostOnce} {
			var filters []string
			for _, wanted := range pending {
				if wanted.delivery == delivery {
					filters = append(filters, wanted.text)
				}
			}
			if len(filters) == 0 {
				continue
			}
			if err := link.transport.Subscribe(ctx, delivery, filters...); err != nil {
				return err
			}
		}
	}
}

// registered wakes Run for a new subscription.
func (m *Module) registered() {
	select {
	case m.events.subscribe <- struct{}{}:
	default:
	}
}

// warnOfSecondReady tells that a module which is started alone ends the others of EVerest 2025.12. Its manager repeats the
// global ready then, and a C++ module of that release does not survive the second one.
func (m *Module) warnOfSecondReady() {
	if m.spawned || m.start.snapshot().Known || m.wire.Name() != "C" || !strings.HasPrefix(m.search.looker.Version(), "2025.12") {
		return
	}
	m.log.Warn("the C++ modules of EVerest 2025.12 end when a module is started again alone: start all of EVerest again")
}

// listenedFor is after how long a manager of 2025.12 has certainly begun to listen for ready. It publishes its start-up
// topics just before.
const listenedFor = 10 * time.Second

// mustNotRemind reports whether a repeated ready may end the other modules. A manager that has them all ready answers it
// with a second global ready, which the C++ modules of EVerest 2025.12 do not survive. A release that is not known may be
// that one.
func (m *Module) mustNotRemind() bool {
	version := m.search.looker.Version()
	if m.wire.Name() != "C" || version != "" && !strings.HasPrefix(version, "2025.12") {
		return false
	}
	since := m.start.namesSince()
	return !since.IsZero() && time.Since(since) >= listenedFor
}

// familySearch finds out which family of messages the EVerest around the module uses.
type familySearch struct {
	wish    string
	broker  Broker // that of the options
	config  string
	prefix  string // of topics
	looking sync.Mutex
	looker  family.Looker
	found   atomic.Bool // false while received messages are evidence only

	mu       sync.Mutex
	evidence []family.Heard
	changed  chan struct{} // full after new evidence
}

func (s *familySearch) set(options Options, spawned bool) {
	s.wish, s.config, s.prefix, s.broker = options.Wire, options.ConfigFile, options.EverestPrefix, options.Broker
	s.looker.Prefix = options.InstallPrefix
	s.changed = make(chan struct{}, 1)
	if spawned {
		s.looker.Parent = os.Getppid()
	}
}

// hear keeps the newest message of each topic, live and retained.
func (s *familySearch) hear(message Message) {
	topic, _ := strings.CutPrefix(message.Topic, s.prefix)
	heard, ok := family.Hear(topic, message.Payload, message.Retained)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.evidence[:0:0]
	for _, other := range s.evidence {
		if other.Topic != heard.Topic || other.Retained != heard.Retained {
			kept = append(kept, other)
		}
	}
	s.evidence = append(kept, heard)
	notify(s.changed)
}

// collect returns all evidence so far, and what was looked at.
func (s *familySearch) collect() (family.Evidence, []string) {
	s.mu.Lock()
	evidence := family.Evidence{Wish: s.wish, ConfigFile: s.config, Heard: s.evidence}
	s.mu.Unlock()
	if s.wish != "" {
		return evidence, nil
	}
	s.looking.Lock()
	defer s.looking.Unlock()
	found, lookedAt := s.looker.Look()
	evidence.Found = found
	return evidence, lookedAt
}

// lookForFamily decides by what the command line and files say, before there is a connection.
func (m *Module) lookForFamily() error {
	m.search.found.Store(false)
	m.search.mu.Lock()
	m.search.evidence = nil
	m.search.mu.Unlock()
	evidence, lookedAt := m.search.collect()
	finding, decided, err := family.Decide(evidence)
	if err != nil {
		return fmt.Errorf("everest: %w", err)
	}
	if decided {
		return m.speak(finding)
	}
	if m.search.config != "" { // the manager of such a release publishes nothing by which it could be known
		return fmt.Errorf("%w; looked at: %s", errNoFamily, strings.Join(lookedAt, "; "))
	}
	return nil
}

// sparsely is after how many times a line about a wait is logged again, ten minutes with the default ConfigTimeout. At the
// start of the wait it comes more often: after one, two, four times.
const sparsely = 120

// listenForFamily waits for evidence among the messages of the manager, if there is not enough yet. It publishes nothing.
func (m *Module) listenForFamily(ctx context.Context, transport Transport) error {
	if m.search.found.Load() {
		return nil
	}
	m.reportPhase("finding out the release of EVerest")
	filters := family.Topics()
	for i, topic := range filters {
		filters[i] = m.options.EverestPrefix + topic
	}
	// One after the other, because the broker sends retained messages in this order, and the last one tells that the
	// others are there.
	for _, filter := range filters {
		if err := transport.Subscribe(ctx, ExactlyOnce, filter); err != nil {
			return err
		}
	}
	timer := time.NewTimer(m.options.ConfigTimeout)
	defer timer.Stop()
	for attempt := 1; ; {
		evidence, lookedAt := m.search.collect()
		finding, decided, err := family.Decide(evidence)
		switch {
		case err != nil:
			return fmt.Errorf("everest: %w", err)
		case decided:
			return m.speak(finding)
		}
		select {
		case <-m.search.changed:
		case <-timer.C:
			m.watchdog.passBy()
			if m.options.ConfigAttempts > 0 && attempt >= m.options.ConfigAttempts {
				return fmt.Errorf("%w; looked at: %s", errNoFamily, strings.Join(lookedAt, "; "))
			}
			if attempt&(attempt-1) == 0 || attempt%sparsely == 0 {
				m.log.Warn("cannot tell which release of EVerest this is, waiting for its manager to start: set EV_WIRE or --everest_wire where the manager does not show it",
					zap.Strings("looked_at", append(lookedAt, "messages of a manager below "+m.options.EverestPrefix)), zap.Int("attempt", attempt))
			}
			attempt++
			timer.Reset(m.options.ConfigTimeout)
		case <-transport.Done():
			return transport.Err()
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errNoFamily, context.Cause(ctx))
		}
	}
}

var errNoFamily = errors.New("everest: it is not known which release of EVerest this is; set EV_WIRE or --everest_wire to one of " + strings.Join(wire.Names(), ", "))

// speak uses the family from now on. A module that has used another one before must end.
func (m *Module) speak(finding family.Finding) error {
	name := finding.Release.Name
	if m.wire != nil && m.wire.Name() != name {
		return fmt.Errorf("%w: it was EVerest %s (%s)", ErrReleaseChanged, finding.Release.EVerest, finding.Because)
	}
	m.log.Info("release of EVerest found out", zap.String("family", name), zap.String("releases", finding.Release.EVerest),
		zap.String("reason", finding.Because))
	if finding.Release.New("").Has(wire.ConfigFiles) {
		if err := m.readFiles(); err != nil {
			return err
		}
	}
	if m.wire == nil {
		m.wire = finding.Release.Of(m.options.EverestPrefix, m.search.looker.Version())
		m.router = newRouter(m.wire, m.options.EverestPrefix, m.options.ModuleID)
		m.subscribeRuntime()
	}
	m.search.found.Store(true)
	return nil
}

// readFiles reads the files of an EVerest whose modules configure themselves. They say where the broker is.
func (m *Module) readFiles() error {
	files, err := configfile.Load(configfile.Source{File: cmp.Or(m.options.ConfigFile, "default"), Prefix: m.options.InstallPrefix, Module: m.options.ModuleID})
	if err != nil {
		return fmt.Errorf("everest: %w", err)
	}
	broker := m.search.broker
	if files.SocketPath != "" && (broker.Host != "" || broker.Port != 0) {
		return fmt.Errorf("everest: MQTT_SERVER_ADDRESS or MQTT_SERVER_PORT is set together with the broker socket %s of the configuration: unset one of them", files.SocketPath)
	}
	if broker.SocketPath == "" {
		broker = Broker{SocketPath: files.SocketPath, Host: cmp.Or(broker.Host, files.Host), Port: cmp.Or(broker.Port, files.Port)}
	}
	if m.files != nil && (m.options.Broker != broker || m.options.EverestPrefix != files.EverestPrefix || m.options.ExternalPrefix != files.ExternalPrefix) {
		return ErrConfigChanged
	}
	if !wire.ValidTopic(files.EverestPrefix) || files.ExternalPrefix != "" && !wire.ValidTopic(files.ExternalPrefix) {
		return fmt.Errorf("everest: topic prefixes %q and %q of the configuration must not hold + or #", files.EverestPrefix, files.ExternalPrefix)
	}
	settings := Settings{Known: true}
	if err := json.Unmarshal(files.Settings, &settings); err != nil {
		return fmt.Errorf("everest: settings: %w", err)
	}
	m.options.Broker, m.options.EverestPrefix, m.options.ExternalPrefix, m.files = broker, files.EverestPrefix, files.ExternalPrefix, files
	m.start.update(func() { m.start.settings, m.start.names, m.start.provides = settings, files.Names, files.Provides })
	return nil
}

// configOfFiles returns the configuration that the files have now.
func (m *Module) configOfFiles() (*moduleConfig, error) {
	if err := m.readFiles(); err != nil {
		return nil, err
	}
	return readModuleConfig(m.files.Module)
}

// sameFamily returns an error when a manager of another family has started, or will. A standalone module asks before it
// sends what only a manager receives.
func (m *Module) sameFamily(heard ...family.Heard) error {
	if m.spawned {
		return nil
	}
	evidence, _ := m.search.collect()
	evidence.Heard = heard
	if err := family.Allows(evidence, m.wire.Name()); err != nil {
		return fmt.Errorf("%w: %w", ErrReleaseChanged, err)
	}
	return nil
}

// takeInterfaces watches the first message of a manager that starts.
func (m *Module) takeInterfaces(message Message) {
	topic, _ := strings.CutPrefix(message.Topic, m.options.EverestPrefix)
	heard, ok := family.Hear(topic, message.Payload, message.Retained)
	if !ok || message.Retained {
		return
	}
	if err := m.sameFamily(heard); err != nil {
		m.Fail(err)
	}
}
