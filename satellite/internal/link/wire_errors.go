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

// Keys of a failed command's error map, as in EVerest's replies. They carry the error's type in both dialects.
const (
	keyErrorType    = "__everest__error_type"
	keyErrorMessage = "__everest__error_msg"
)

// toWireError returns the RPC error for the failure of a command on the satellite.
func toWireError(err error) error {
	failed := asCommandError(err)
	return rpc.ErrorValue{Value: map[string]any{keyErrorType: failed.Type, keyErrorMessage: failed.Message}}
}

// FromWireError returns the error for a command's caller on the main board, from the error of the RPC call.
func FromWireError(err error) *everest.CommandError {
	if remote, ok := errors.AsType[*rpc.RemoteError](err); ok {
		if fields, ok := remote.Value.(map[string]any); ok {
			errorType, typed := fields[keyErrorType].(string)
			message, _ := fields[keyErrorMessage].(string)
			if typed {
				return &everest.CommandError{Type: cut(errorType), Message: cut(message)}
			}
		}
		text, ok := remote.Value.(string)
		if !ok {
			text = fmt.Sprint(remote.Value)
		}
		return &everest.CommandError{Type: everest.HandlerException, Message: cut(text)}
	}
	return asCommandError(err)
}

// maxErrorText is how many bytes of a text in the satellite's error a caller gets.
const maxErrorText = 4 << 10

func cut(text string) string {
	if len(text) <= maxErrorText {
		return text
	}
	return strings.ToValidUTF8(text[:maxErrorText], "") + "..."
}

// asCommandError returns err where it is a CommandError, else a CommandError of the type that fits.
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

// refusal is why an agent did not execute a call of v2. Its value is the code on the wire.
type refusal string

// The refusals.
const (
	// notTheLink refuses a call on a connection that is not the link's, or not any more.
	notTheLink refusal = "not_the_link"
	// forgotten refuses a number whose result was acknowledged.
	forgotten refusal = "forgotten"
	// tooMany refuses a new number while the agent keeps as many results as it can.
	tooMany refusal = "too_many"
	// cancelled refuses a number that was cancelled before it came.
	cancelled refusal = "cancelled"
)

// Error returns the sentence that crosses beside the code. A controller of an older release gets the sentence alone: it
// must not change.
func (r refusal) Error() string {
	switch r {
	case notTheLink:
		return "satellite: this connection is not the link: greet with " + FunctionHello + " first"
	case forgotten, cancelled:
		return "satellite: the command was acknowledged or cancelled before"
	case tooMany:
		return "satellite: too many results are not acknowledged"
	}
	return "satellite: the call was refused: " + string(r)
}

// keyRefusal holds the code in an error map.
const keyRefusal = "link_refusal"

// forVersion returns the error that is sent to a controller of that version.
func (r refusal) forVersion(version uint64) error {
	if version < versionCodes {
		return r
	}
	return rpc.ErrorValue{Value: map[string]any{
		keyErrorType: everest.HandlerException, keyErrorMessage: r.Error(), keyRefusal: string(r),
	}}
}

// refusalOf returns the refusal in the error of a call, "" for another failure.
func refusalOf(err error) refusal {
	remote, ok := errors.AsType[*rpc.RemoteError](err)
	if !ok {
		return ""
	}
	switch value := remote.Value.(type) {
	case map[string]any:
		code, _ := value[keyRefusal].(string)
		return refusal(code)
	case string:
		return olderRefusal(value)
	}
	return ""
}

// olderRefusal recognises a refusal of version 2, which has no code. This is the one place where a peer's sentence is
// read.
func olderRefusal(text string) refusal {
	for _, refusal := range []refusal{notTheLink, forgotten, tooMany} {
		if strings.Contains(text, refusal.Error()) {
			return refusal
		}
	}
	return ""
}
