package link

import (
	"context"
	"errors"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// Keys of a failed command's error map, as EVerest has them in a reply: so the
// error's type crosses the boards in either dialect.
const (
	keyErrorType    = "__everest__error_type"
	keyErrorMessage = "__everest__error_msg"
)

// toWireError returns the RPC error for the failure of a command on the satellite.
func toWireError(err error) error {
	failed := AsCommandError(err)
	return rpc.ErrorValue{Value: map[string]any{keyErrorType: failed.Type, keyErrorMessage: failed.Message}}
}

// FromWireError returns the error of a command's caller on the main board for
// the failure of an RPC call.
func FromWireError(err error) *everest.CommandError {
	if remote, ok := errors.AsType[*rpc.RemoteError](err); ok {
		if fields, ok := remote.Value.(map[string]any); ok {
			errorType, typed := fields[keyErrorType].(string)
			message, _ := fields[keyErrorMessage].(string)
			if typed {
				return &everest.CommandError{Type: errorType, Message: message}
			}
		}
		return &everest.CommandError{Type: everest.HandlerException, Message: fmt.Sprint(remote.Value)}
	}
	return AsCommandError(err)
}

// AsCommandError returns the error itself if it is a command's, else one of the
// type that fits.
func AsCommandError(err error) *everest.CommandError {
	if failed, ok := errors.AsType[*everest.CommandError](err); ok {
		return failed
	}
	if mismatch, ok := errors.AsType[*schema.Error](err); ok {
		return &everest.CommandError{Type: everest.SchemaValidationError, Message: mismatch.Message}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &everest.CommandError{Type: everest.CmdTimeout, Message: err.Error()}
	case errors.Is(err, context.Canceled):
		return &everest.CommandError{Type: everest.Shutdown, Message: err.Error()}
	}
	return &everest.CommandError{Type: everest.HandlerException, Message: err.Error()}
}
