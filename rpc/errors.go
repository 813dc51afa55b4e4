package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Errors for use with errors.Is. The functions of this package wrap them with what failed and why.
var (
	// ErrClosed reports that the connection is gone: closed by either side, broken, or closed after a malformed
	// message. It wraps net.ErrClosed.
	ErrClosed error = closedError{}
	// ErrTimeout reports that a call had no reply in time. It wraps context.DeadlineExceeded. The connection stays up,
	// and a late reply is dropped.
	ErrTimeout error = timeoutError{}
	// ErrFrameTooLarge reports a message above the size limit. A receiver closes the connection. A sender rejects the
	// message before anything is sent, and the connection stays up.
	ErrFrameTooLarge = errors.New("rpc: message above the size limit")
	// ErrTooDeep reports a message nested deeper than the limit. A receiver closes the connection; a sender rejects the
	// message.
	ErrTooDeep = errors.New("rpc: message nested too deep")
	// ErrTooManyElements reports a message with more values than the limit. A receiver closes the connection; a sender
	// rejects the message.
	ErrTooManyElements = errors.New("rpc: message has too many elements")
	// ErrProtocol reports a malformed message or value. A receiver closes the connection on a malformed message.
	ErrProtocol = errors.New("rpc: malformed message")
	// ErrType reports that a value does not fit the type or the range of its Go variable. A server replies as rpclib
	// does after std::bad_cast.
	ErrType = errors.New("rpc: value of another type")
	// ErrMethodNotFound reports that the server has not bound the function. errors.Is also reports it for a RemoteError
	// with rpclib's text for an unknown function.
	ErrMethodNotFound = errors.New("rpc: no such function at the server")
	// ErrPlaintext reports that TCP needs TLS, because InsecurePlaintext is not set in Config or ServerConfig.
	ErrPlaintext = errors.New("rpc: TCP without TLS: set TLS, or InsecurePlaintext when the network is trusted")
	// ErrPeerNotAuthenticated reports a TLS configuration that would accept peers without a proven identity.
	ErrPeerNotAuthenticated = errors.New("rpc: TLS configuration authenticates no peer")
	// ErrTooManyConnections reports that a server closed a new connection, because as many as ServerConfig.Connections
	// were already open.
	ErrTooManyConnections = errors.New("rpc: too many connections")
	// ErrHandshake reports that a TLS handshake failed, at either end. The error that wraps ErrHandshake also wraps the
	// reason.
	ErrHandshake = errors.New("rpc: TLS handshake failed")
	// NoReply is the error that a Handler returns to send no reply at all. The caller then waits until its timeout.
	//
	//lint:ignore ST1012 it is a result, not a failure
	NoReply = errors.New("rpc: no reply")
)

// RemoteError is an error value that the server sent as its reply.
type RemoteError struct {
	// Method is the function that was called.
	Method string
	// Value is the error value, decoded into an any. A server may send a value of any type; rpclib itself sends text.
	Value any
}

// maxRemoteText is how many bytes of a server's error text Error returns.
const maxRemoteText = 1 << 10

// Error returns the function's name and the first KiB of the server's error text. A value other than text is shown in
// Go's notation.
func (e *RemoteError) Error() string {
	text, ok := e.Value.(string)
	if !ok {
		text = fmt.Sprint(e.Value)
	}
	if len(text) > maxRemoteText {
		text = strings.ToValidUTF8(text[:maxRemoteText], "") + "..."
	}
	return fmt.Sprintf("rpc: %s replied with the error: %s", e.Method, text)
}

// Is reports whether target is ErrMethodNotFound and the value is rpclib's text for a function that is not bound.
func (e *RemoteError) Is(target error) bool {
	text, ok := e.Value.(string)
	return target == ErrMethodNotFound && ok && strings.HasPrefix(text, notFoundPrefix)
}

// ErrorValue is an error that a handler returns to send any MessagePack value as the error, as rpclib's
// this_handler().respond_error does. If Value is nil, the caller gets rpclib's text for a function that is not bound,
// as with rpclib.
type ErrorValue struct {
	// Value is encoded as an argument is.
	Value any
}

// Error returns the value in Go's notation.
func (e ErrorValue) Error() string { return fmt.Sprint(e.Value) }

type closedError struct{}

func (closedError) Error() string { return "rpc: connection closed" }

// Unwrap makes errors.Is with net.ErrClosed true.
func (closedError) Unwrap() error { return net.ErrClosed }

type timeoutError struct{}

func (timeoutError) Error() string { return "rpc: call timed out" }

// Timeout returns true, as a net.Error does.
func (timeoutError) Timeout() bool { return true }

// Unwrap makes errors.Is with context.DeadlineExceeded true.
func (timeoutError) Unwrap() error { return context.DeadlineExceeded }
