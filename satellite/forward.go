package satellite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/remotechargeport/remotechargeport/everest"
)

var (
	errUnknownVariable = errors.New("not in the route table")
	errUnknownError    = errors.New("interface satellite does not declare the error's type")
)

// forwardError raises or clears an error of a satellite's module on the main
// board, with the type, sub type, origin, uuid and time that it has there.
func forwardError(ctx context.Context, satellite *everest.Provided, declared *everest.Interface, event Event) error {
	var raised everest.Error
	if err := json.Unmarshal(event.Error, &raised); err != nil {
		return fmt.Errorf("error object cannot be read: %w", err)
	}
	if declared != nil && !declared.HasErrorType(raised.Type) {
		return fmt.Errorf("%s: %w", raised.Type, errUnknownError)
	}
	if event.Raised {
		return satellite.RaiseForwarded(ctx, raised)
	}
	return satellite.ClearForwarded(ctx, raised)
}

// replaceErrors makes the satellite's active errors those of the list: it clears
// what is not on it, and raises what is missing.
func replaceErrors(ctx context.Context, self string, satellite *everest.Provided, declared *everest.Interface, list json.RawMessage) error {
	var active []everest.Error
	if err := json.Unmarshal(list, &active); err != nil {
		return fmt.Errorf("list of active errors cannot be read: %w", err)
	}
	var failures []error
	known := satellite.ActiveErrors()
	for _, old := range known {
		if old.Origin.ModuleID == self || slices.ContainsFunc(active, func(e everest.Error) bool { return sameError(e, old) }) {
			continue
		}
		failures = append(failures, satellite.ClearForwarded(ctx, old))
	}
	for _, e := range active {
		if slices.ContainsFunc(known, func(old everest.Error) bool { return sameError(e, old) }) {
			continue
		}
		if declared != nil && !declared.HasErrorType(e.Type) {
			failures = append(failures, fmt.Errorf("%s: %w", e.Type, errUnknownError))
			continue
		}
		failures = append(failures, satellite.RaiseForwarded(ctx, e))
	}
	return errors.Join(failures...)
}
