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

// maxActiveBytes is how many bytes the objects of the errors of one store may have together. One error always fits.
const maxActiveBytes = 4 << 20

// errorStore holds the active errors of one source. It is not safe for concurrent use.
type errorStore struct {
	active map[ErrorID]activeError
	// bytes is how long the objects are together.
	bytes int
}

// activeError is an error and the bytes of its object.
type activeError struct {
	Error
	object json.RawMessage
}

// raise reports whether the error was not active before.
func (s *errorStore) raise(e Error, object json.RawMessage) bool {
	if _, known := s.active[e.ID()]; known || s.isFull(object) {
		return false
	}
	if s.active == nil {
		s.active = map[ErrorID]activeError{}
	}
	s.active[e.ID()] = activeError{e, object}
	s.bytes += len(object)
	return true
}

// isFull reports whether there is no room for an error.
func (s *errorStore) isFull(object json.RawMessage) bool {
	return len(s.active) >= maxActiveErrors || len(s.active) > 0 && s.bytes+len(object) > maxActiveBytes
}

// clear reports whether the error was active.
func (s *errorStore) clear(id ErrorID) bool {
	cleared, known := s.active[id]
	delete(s.active, id)
	s.bytes -= len(cleared.object)
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
	if _, known := r.store.active[e.ID()]; !known && r.store.isFull(object) {
		return false, fmt.Errorf("everest: raise %s: %d errors of %d bytes are active already", e.Type, len(r.store.active), r.store.bytes)
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
