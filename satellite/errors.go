package satellite

import (
	"context"
	"errors"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// EndError says why the protocol of the two boards ends a module: the process
// has to exit with a status other than 0, so that the board's EVerest goes down
// and is started afresh together with the other board's.
type EndError struct {
	// Peer is the other board, as an address.
	Peer   string
	Reason handshake.Reason
}

// Error names the peer and the reason.
func (e *EndError) Error() string {
	if e.Peer == "" {
		return fmt.Sprintf("satellite: this board must restart: %v", e.Reason)
	}
	return fmt.Sprintf("satellite: this board must restart: %v (peer %s)", e.Reason, e.Peer)
}

// ErrNotConnected is a command for a satellite to which no link stands.
var ErrNotConnected = errors.New("satellite: no link to the satellite")

// Keys of a command's error as EVerest has it in a reply; the agent answers a
// failed command with a map of the two, so that the type crosses the boards.
const (
	keyErrorType    = "__everest__error_type"
	keyErrorMessage = "__everest__error_msg"
)

// toWireError turns what a command of the satellite failed with into the RPC
// error that the main board gets.
func toWireError(err error) error {
	failed := asCommandError(err)
	return rpc.ErrorValue{Value: map[string]any{keyErrorType: failed.Type, keyErrorMessage: failed.Message}}
}

// fromWireError turns the failure of an RPC call into the error that the main
// board's caller gets.
func fromWireError(err error) *everest.CommandError {
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
	return asCommandError(err)
}

func asCommandError(err error) *everest.CommandError {
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
