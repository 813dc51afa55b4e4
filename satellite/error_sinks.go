package satellite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

var (
	errUnknownVariable = errors.New("not in the route table")
	errUnknownError    = errors.New("interface satellite does not declare the error's type")
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
// tunnel gets the errors that it declares, if they come from the module behind it. `satellite` gets all others.
type errorSinks struct {
	// self is this module, whose own errors are not the satellite's.
	self      string
	satellite errorSink
	extras    map[string]errorSink

	mu      sync.Mutex
	origins map[everest.Origin]string // extras by the origin of their errors
}

// open connects the sinks to the module's implementations.
func (s *errorSinks) open(module *everest.Module, routes []route.Route, definitions *schema.Definitions) {
	sink := func(id, name string) errorSink {
		declared, _ := definitions.Interface(name)
		return errorSink{module.Provides(id), declared}
	}
	s.self, s.satellite, s.extras = module.ID(), sink(route.Satellite, route.Satellite), make(map[string]errorSink)
	for _, r := range routes {
		if r.Extra {
			s.extras[r.ID] = sink(r.ID, r.Interface)
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

// of returns the sink of an error.
func (s *errorSinks) of(e everest.Error) errorSink {
	s.mu.Lock()
	id := s.origins[everest.Origin{ModuleID: e.Origin.ModuleID, ImplementationID: e.Origin.ImplementationID}]
	s.mu.Unlock()
	if sink, extra := s.extras[id]; extra && sink.takes(e.Type) {
		return sink
	}
	return s.satellite
}

// forward raises or clears an error of a satellite's module on the main board, with the type, sub type, origin, uuid
// and time that it has there.
func (s *errorSinks) forward(ctx context.Context, event link.Event) error {
	var raised everest.Error
	if err := json.Unmarshal(event.Value, &raised); err != nil {
		return fmt.Errorf("error object cannot be read: %w", err)
	}
	sink := s.of(raised)
	if !sink.takes(raised.Type) {
		return fmt.Errorf("%s: %w", raised.Type, errUnknownError)
	}
	return sink.provided.RelayError(ctx, event.Value, event.Kind == link.Raised)
}

// replace makes the list the set of the satellite's active errors: it clears those that are not in the list, and raises
// those that are missing.
func (s *errorSinks) replace(ctx context.Context, list json.RawMessage) error {
	var objects []json.RawMessage
	if err := json.Unmarshal(list, &objects); err != nil {
		return fmt.Errorf("list of active errors cannot be read: %w", err)
	}
	wanted := make(map[*everest.Provided][]everest.ErrorEvent)
	for _, object := range objects {
		active := everest.ErrorEvent{Raw: object, Raised: true}
		if err := json.Unmarshal(object, &active.Error); err != nil {
			return fmt.Errorf("list of active errors cannot be read: %w", err)
		}
		sink := s.of(active.Error).provided
		wanted[sink] = append(wanted[sink], active)
	}
	failures := []error{s.satellite.replace(ctx, s.self, wanted[s.satellite.provided])}
	for _, sink := range s.extras {
		failures = append(failures, sink.replace(ctx, s.self, wanted[sink.provided]))
	}
	return errors.Join(failures...)
}

func (s errorSink) replace(ctx context.Context, self string, active []everest.ErrorEvent) error {
	failures := []error{s.provided.ClearWhere(ctx, func(old everest.Error) bool {
		isOld := func(event everest.ErrorEvent) bool { return event.Error.ID() == old.ID() }
		return old.Origin.ModuleID != self && !slices.ContainsFunc(active, isOld)
	})}
	for _, event := range active {
		if !s.takes(event.Error.Type) {
			failures = append(failures, fmt.Errorf("%s: %w", event.Error.Type, errUnknownError))
			continue
		}
		failures = append(failures, s.provided.RelayError(ctx, event.Raw, true))
	}
	return errors.Join(failures...)
}

// communicationFault is raised on `satellite` while the port is out of service, or cannot be connected to.
const communicationFault = "generic/CommunicationFault"

// fault raises and clears a communication fault of one sub type, in turn with the satellite's events.
type fault struct {
	subType  string
	provided *everest.Provided
	// addTask has something done after the events before it are published.
	addTask func(func(context.Context))
	// raiseFailed and clearFailed follow a broker that does not take it.
	raiseFailed, clearFailed func(error)
}

func (f *fault) raise(message string) {
	f.addTask(func(ctx context.Context) {
		raised := everest.Error{Type: communicationFault, SubType: f.subType, Severity: everest.SeverityHigh, Message: message}
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
