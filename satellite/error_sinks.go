package satellite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/satellite/internal/crossing"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

var (
	errUnknownVariable = errors.New("not in the route table")
	errUnknownError    = errors.New("interface satellite does not declare the error's type")
	// errOwn is the error of an error that this controller has raised itself. An agent that tells it back runs in the same
	// EVerest, and would tell each relayed error anew, with an origin that grows.
	errOwn = errors.New("raised by this controller itself: agent and controller run in one EVerest")
)

// errorSink is an implementation of the controller that raises errors of the satellite on the main board. declared is
// nil where its interface is not known.
type errorSink struct {
	provided *everest.Provided
	declared *schema.Interface
}

func (s errorSink) takes(errorType string) bool {
	return s.declared == nil || s.declared.HasErrorType(errorType)
}

// errorSinks decide on which implementation an error of the satellite is raised. An interface of the configuration key
// tunnel gets the errors that it declares, if they come from the module behind it. The translator names the
// implementation of some types. `satellite` gets all others.
type errorSinks struct {
	translator *crossing.Translator
	sinks      map[string]errorSink // by implementation

	mu      sync.Mutex
	origins map[everest.Origin]string // extras by the origin of their errors
}

// open connects the sinks to the module's implementations.
func (s *errorSinks) open(module *everest.Module, translator *crossing.Translator, routes []route.Route, definitions *schema.Definitions) {
	s.translator, s.sinks = translator, make(map[string]errorSink)
	add := func(id, name string) {
		declared, _ := definitions.Interface(name)
		s.sinks[id] = errorSink{module.Provides(id), declared}
	}
	add(route.Satellite, route.Satellite)
	add(route.EVSEManager, route.EVSEManager)
	for _, r := range routes {
		if r.Extra {
			add(r.ID, r.Interface)
		}
	}
}

// follow takes the origins of the extras' errors from the agent's summary.
func (s *errorSinks) follow(theirs route.Summary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.origins = make(map[everest.Origin]string)
	for id, described := range theirs {
		if described.Module != "" {
			s.origins[everest.Origin{ModuleID: described.Module, ImplementationID: described.Implementation}] = id
		}
	}
}

// translate returns the sink of a satellite's error, and the error as the main board must see it.
func (s *errorSinks) translate(object json.RawMessage) (errorSink, everest.ErrorEvent, error) {
	var e everest.Error
	if err := json.Unmarshal(object, &e); err != nil {
		return errorSink{}, everest.ErrorEvent{}, fmt.Errorf("error object cannot be read: %w", err)
	}
	s.mu.Lock()
	extra := s.origins[everest.Origin{ModuleID: e.Origin.ModuleID, ImplementationID: e.Origin.ImplementationID}]
	s.mu.Unlock()
	id := s.translator.Implementation(e.Type, cmp.Or(extra, route.Satellite))
	sink, known := s.sinks[id]
	if !known || !sink.takes(e.Type) {
		id = route.Satellite
		sink = s.sinks[id]
	}
	translated, err := s.translator.Error(object, id)
	if err != nil {
		return errorSink{}, everest.ErrorEvent{}, err
	}
	event := everest.ErrorEvent{Raw: translated}
	if err := json.Unmarshal(translated, &event.Error); err != nil {
		return errorSink{}, everest.ErrorEvent{}, fmt.Errorf("error object cannot be read: %w", err)
	}
	if event.Error.ID() != e.ID() && s.isActive(e.ID()) {
		return errorSink{}, everest.ErrorEvent{}, fmt.Errorf("%s: %w", e.Type, errOwn)
	}
	return sink, event, nil
}

// isActive reports whether an error is active under the controller's implementations.
func (s *errorSinks) isActive(id everest.ErrorID) bool {
	for _, sink := range s.sinks {
		if slices.ContainsFunc(sink.provided.ActiveErrors(), func(active everest.Error) bool { return active.ID() == id }) {
			return true
		}
	}
	return false
}

// forward raises or clears an error of a satellite's module on the main board.
func (s *errorSinks) forward(ctx context.Context, event link.Event) error {
	sink, translated, err := s.translate(event.Value)
	if err != nil {
		return err
	}
	return sink.relay(ctx, translated, event.Kind == link.Raised)
}

func (s errorSink) relay(ctx context.Context, event everest.ErrorEvent, raised bool) error {
	if !s.takes(event.Error.Type) {
		return fmt.Errorf("%s: %w", event.Error.Type, errUnknownError)
	}
	return s.provided.RelayError(ctx, event.Raw, raised)
}

// replace makes the list the set of the satellite's active errors: it clears those that are not in the list, and raises
// those that are missing.
func (s *errorSinks) replace(ctx context.Context, list json.RawMessage) error {
	var objects []json.RawMessage
	if err := json.Unmarshal(list, &objects); err != nil {
		return fmt.Errorf("list of active errors cannot be read: %w", err)
	}
	wanted := make(map[errorSink][]everest.ErrorEvent)
	for _, object := range objects {
		sink, active, err := s.translate(object)
		if errors.Is(err, errOwn) {
			continue
		}
		if err != nil {
			return fmt.Errorf("list of active errors: %w", err)
		}
		wanted[sink] = append(wanted[sink], active)
	}
	var failures []error
	for _, sink := range s.sinks {
		failures = append(failures, sink.replace(ctx, s.translator.IsOwn, wanted[sink]))
	}
	return errors.Join(failures...)
}

func (s errorSink) replace(ctx context.Context, isOwn func(everest.Error) bool, active []everest.ErrorEvent) error {
	failures := []error{s.provided.ClearWhere(ctx, func(old everest.Error) bool {
		isOld := func(event everest.ErrorEvent) bool { return event.Error.ID() == old.ID() }
		return !isOwn(old) && !slices.ContainsFunc(active, isOld)
	})}
	for _, event := range active {
		failures = append(failures, s.relay(ctx, event, true))
	}
	return errors.Join(failures...)
}

// activeErrors returns the number of the satellite's errors that are active on the main board.
func (s *errorSinks) activeErrors() (count int) {
	for _, sink := range s.sinks {
		for _, active := range sink.provided.ActiveErrors() {
			if !s.translator.IsOwn(active) {
				count++
			}
		}
	}
	return count
}

// list returns every error that is active under the controller's implementations, also those of the main board.
func (s *errorSinks) list() []control.EVSEError {
	list := []control.EVSEError{}
	for _, sink := range s.sinks {
		for _, active := range sink.provided.ActiveErrors() {
			list = append(list, evseError(active))
		}
	}
	return list
}

// communicationFault is raised on `satellite` while the port is out of service, or cannot be connected to.
const communicationFault = "generic/CommunicationFault"

// fault raises and clears a communication fault of one sub type, in turn with the satellite's events.
type fault struct {
	subType  string
	board    string // the module's id, by which a backend knows the satellite
	provided *everest.Provided
	// addTask has something done after the events before it are published.
	addTask func(func(context.Context))
	// raiseFailed and clearFailed follow a broker that does not take it.
	raiseFailed, clearFailed func(error)
}

func (f *fault) raise(message string) {
	f.addTask(func(ctx context.Context) {
		raised := everest.Error{
			Type: communicationFault, SubType: f.subType, Severity: everest.SeverityHigh, Message: message, Description: crossing.Named(f.board, message),
		}
		if err := f.provided.Raise(ctx, raised); err != nil {
			f.raiseFailed(err)
		}
	})
}

func (f *fault) clear() {
	f.addTask(func(ctx context.Context) {
		if err := f.provided.Clear(ctx, communicationFault, f.subType); err != nil {
			f.clearFailed(err)
		}
	})
}
