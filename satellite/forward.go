package satellite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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
