package link

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// Keys of a failed command's error map, as EVerest has them in a reply: so the error's type crosses the boards in
// either dialect.
const (
	keyErrorType    = "__everest__error_type"
	keyErrorMessage = "__everest__error_msg"
)

// toWireError returns the RPC error for the failure of a command on the satellite.
func toWireError(err error) error {
	failed := AsCommandError(err)
	return rpc.ErrorValue{Value: map[string]any{keyErrorType: failed.Type, keyErrorMessage: failed.Message}}
}

// FromWireError returns the error of a command's caller on the main board for the failure of an RPC call.
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

// AsCommandError returns the error itself if it is a command's, else one of the type that fits.
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

// Refusal is why an agent did not execute a call of v2. Its text is the code on the wire.
type Refusal string

// The refusals.
const (
	// NotTheLink: the connection is not the link, or not any more.
	NotTheLink Refusal = "not_the_link"
	// Forgotten: the result of the number was acknowledged.
	Forgotten Refusal = "forgotten"
	// TooMany: the agent remembers as many results as it can.
	TooMany Refusal = "too_many"
	// Cancelled: the number was cancelled before it came.
	Cancelled Refusal = "cancelled"
)

// Error returns the sentence that crosses beside the code. A controller of an older release gets the sentence alone: it
// must not change.
func (r Refusal) Error() string {
	switch r {
	case NotTheLink:
		return "satellite: this connection is not the link: greet with " + FunctionHello + " first"
	case Forgotten, Cancelled:
		return "satellite: the command was acknowledged or cancelled before"
	case TooMany:
		return "satellite: too many results are not acknowledged"
	}
	return "satellite: the call was refused: " + string(r)
}

// keyRefusal holds the code in an error map.
const keyRefusal = "link_refusal"

// forVersion returns the error that crosses to a controller of that version.
func (r Refusal) forVersion(version uint64) error {
	if version < versionCodes {
		return r
	}
	return rpc.ErrorValue{Value: map[string]any{
		keyErrorType: everest.HandlerException, keyErrorMessage: r.Error(), keyRefusal: string(r),
	}}
}

// refusalOf returns the refusal that the agent answered, "" for another failure.
func refusalOf(err error) Refusal {
	remote, ok := errors.AsType[*rpc.RemoteError](err)
	if !ok {
		return ""
	}
	switch value := remote.Value.(type) {
	case map[string]any:
		code, _ := value[keyRefusal].(string)
		return Refusal(code)
	case string:
		return olderRefusal(value)
	}
	return ""
}

// olderRefusal recognises a refusal of version 2, which has no code. This is the one place where a peer's sentence is
// read.
func olderRefusal(text string) Refusal {
	for _, refusal := range []Refusal{NotTheLink, Forgotten, TooMany} {
		if strings.Contains(text, refusal.Error()) {
			return refusal
		}
	}
	return ""
}
