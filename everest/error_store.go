package everest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// maxActiveErrors is how many errors one store holds. Further errors are not stored, because a source with more than
// that is itself broken.
const maxActiveErrors = 4096

// errorStore holds the active errors of one source. It is not safe for concurrent use.
type errorStore struct {
	active map[ErrorID]activeError
}

// activeError is an error and the bytes of its object.
type activeError struct {
	Error
	object json.RawMessage
}

// raise reports whether the error was not active before.
func (s *errorStore) raise(e Error, object json.RawMessage) bool {
	if _, known := s.active[e.ID()]; known || len(s.active) >= maxActiveErrors {
		return false
	}
	if s.active == nil {
		s.active = map[ErrorID]activeError{}
	}
	s.active[e.ID()] = activeError{e, object}
	return true
}

// clear reports whether the error was active.
func (s *errorStore) clear(id ErrorID) bool {
	_, known := s.active[id]
	delete(s.active, id)
	return known
}

// apply reports whether an event changed anything: a repeated raise and a clear without a raise do not.
func (s *errorStore) apply(event ErrorEvent) bool {
	if event.Raised {
		return s.raise(event.Error, event.Raw)
	}
	return s.clear(event.Error.ID())
}

// list returns the active errors, the oldest first.
func (s *errorStore) list() []activeError {
	return slices.SortedFunc(maps.Values(s.active), func(a, b activeError) int {
		return cmp.Or(a.Timestamp.Compare(b.Timestamp), cmp.Compare(a.Type, b.Type), cmp.Compare(a.SubType, b.SubType),
			cmp.Compare(a.Origin.ModuleID, b.Origin.ModuleID), cmp.Compare(a.Origin.ImplementationID, b.Origin.ImplementationID))
	})
}

func errorsOf(active []activeError) []Error {
	var all []Error
	for _, e := range active {
		all = append(all, e.Error)
	}
	return all
}

// raisedErrors holds the errors that are raised through an implementation. It is safe for concurrent use.
type raisedErrors struct {
	// turn is full while an error is raised or cleared. It is a channel so that a context can end the wait for a stuck broker.
	turn chan struct{}

	mu    sync.Mutex
	store errorStore
}

// inTurn calls fn while no other error is raised or cleared, so that messages leave in the order of the changes.
func (r *raisedErrors) inTurn(ctx context.Context, fn func() error) error {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-r.turn }()
	return fn()
}

// add reports whether the error was not active before.
func (r *raisedErrors) add(e Error, object json.RawMessage) (isNew bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.store.active) >= maxActiveErrors {
		return false, fmt.Errorf("everest: raise %s: %d errors are active already", e.Type, maxActiveErrors)
	}
	return r.store.raise(e, object), nil
}

func (r *raisedErrors) remove(id ErrorID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.store.clear(id)
}

// list calls match without the lock: match may be a caller's function.
func (r *raisedErrors) list(match func(Error) bool) []activeError {
	r.mu.Lock()
	active := r.store.list()
	r.mu.Unlock()
	return slices.DeleteFunc(active, func(e activeError) bool { return match != nil && !match(e.Error) })
}
