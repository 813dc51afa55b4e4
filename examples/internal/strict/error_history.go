package strict

import (
	"context"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest"
)

// errorHistory stands in for ErrorHistory. It knows an error by its uuid: a clear with another uuid than the raise
// leaves the error active for ever.
type errorHistory struct {
	mu     sync.Mutex
	errors []errorObject
}

func newErrorHistory(*errorManager) *errorHistory { return new(errorHistory) }

func (h *errorHistory) setUp(module *everest.Module) error {
	everest.Handle(module.Provides("error_history"), "get_errors", func(_ context.Context, request struct {
		Filters struct {
			State *string `json:"state_filter"`
			Type  *string `json:"type_filter"`
		} `json:"filters"`
	}) (any, error) {
		return h.find(request.Filters.State, request.Filters.Type), nil
	})
	return nil
}

// find returns the errors that pass the filters, of which nil passes all.
func (h *errorHistory) find(state, errorType *string) []map[string]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := []map[string]any{}
	for _, e := range h.errors {
		if state != nil && *state != e.State || errorType != nil && *errorType != e.Type {
			continue
		}
		found = append(found, map[string]any{
			"type": e.Type, "sub_type": e.SubType, "message": e.Message, "description": e.Description,
			"severity": e.Severity, "state": e.State, "timestamp": e.Timestamp, "uuid": e.UUID,
			"origin": map[string]any{"module_id": e.Origin.Module, "implementation_id": e.Origin.Implementation},
		})
	}
	return found
}

func (h *errorHistory) raised(reported errorObject) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, known := range h.errors {
		if known.UUID == reported.UUID {
			return // the uuid is the key of the database
		}
	}
	h.errors = append(h.errors, reported)
}

func (h *errorHistory) cleared(reported errorObject) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.errors {
		if h.errors[i].UUID == reported.UUID {
			h.errors[i].State = "ClearedByModule"
		}
	}
}
