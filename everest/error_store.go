package everest

import (
	"cmp"
	"slices"
)

// maxActiveErrors bounds one store: more than that is not a station in trouble but a peer gone wrong.
const maxActiveErrors = 4096

// errorKey is the identity of an error.
type errorKey struct {
	errorType, subType, module, implementation string
}

func keyOf(e Error) errorKey {
	return errorKey{e.Type, e.SubType, e.Origin.ModuleID, e.Origin.ImplementationID}
}

// errorStore holds the active errors of one source. It is not safe for concurrent use.
type errorStore struct {
	active map[errorKey]Error
}

// raise reports whether the error was not active before.
func (s *errorStore) raise(e Error) bool {
	if _, known := s.active[keyOf(e)]; known || len(s.active) >= maxActiveErrors {
		return false
	}
	if s.active == nil {
		s.active = map[errorKey]Error{}
	}
	s.active[keyOf(e)] = e
	return true
}

// clear returns the error that was active.
func (s *errorStore) clear(key errorKey) (Error, bool) {
	e, known := s.active[key]
	delete(s.active, key)
	return e, known
}

// apply reports whether an event changed anything: a repeated raise and a clear without a raise do not.
func (s *errorStore) apply(event ErrorEvent) bool {
	if event.Raised {
		return s.raise(event.Error)
	}
	_, known := s.clear(keyOf(event.Error))
	return known
}

// list returns the active errors that match, the oldest first.
func (s *errorStore) list(match func(Error) bool) []Error {
	var found []Error
	for _, e := range s.active {
		if match == nil || match(e) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b Error) int {
		return cmp.Or(a.Timestamp.Compare(b.Timestamp), cmp.Compare(a.Type, b.Type), cmp.Compare(a.SubType, b.SubType),
			cmp.Compare(a.Origin.ModuleID, b.Origin.ModuleID), cmp.Compare(a.Origin.ImplementationID, b.Origin.ImplementationID))
	})
	return found
}
