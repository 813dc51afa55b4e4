package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Errors to branch on with errors.Is. The errors of this package wrap them with what failed, and with what.
var (
	// ErrClosed is a connection that is gone: closed by either side, broken, or closed after a malformed message.
	// errors.Is(err, net.ErrClosed) is true as well.
	ErrClosed error = closedError{}
	// ErrTimeout is a call without a reply in time; errors.Is(err, context.DeadlineExceeded) is true as well. The
	// connection stays up and a late reply is dropped.
	ErrTimeout error = timeoutError{}
	// ErrFrameTooLarge is a message above the size limit. A receiver closes the connection. A sender rejects the
	// message before anything is sent, and the connection stays up.
	ErrFrameTooLarge = errors.New("rpc: message above the size limit")
	// ErrTooDeep is a message nested deeper than the limit. A receiver closes the connection; a sender rejects the
	// message.
	ErrTooDeep = errors.New("rpc: message nested too deep")
	// ErrTooManyElements is a message of more values than the limit. A receiver closes the connection; a sender rejects
	// the message.
	ErrTooManyElements = errors.New("rpc: message has too many elements")
	// ErrProtocol is a malformed message or value. A receiver closes the connection on a malformed message.
	ErrProtocol = errors.New("rpc: malformed message")
	// ErrType is a value of another type than the Go variable for it, or out of its range. A server replies as rpclib
	// does after std::bad_cast.
	ErrType = errors.New("rpc: value of another type")
	// ErrMethodNotFound is a RemoteError with rpclib's text for a function that is not bound.
	ErrMethodNotFound = errors.New("rpc: no such function at the server")
	// ErrPlaintext is TCP without TLS, without Config.InsecurePlaintext or ServerConfig.InsecurePlaintext.
	ErrPlaintext = errors.New("rpc: TCP without TLS: set TLS, or InsecurePlaintext when the network is trusted")
	// ErrPeerNotAuthenticated is a TLS configuration that would let peers in that prove no identity.
	ErrPeerNotAuthenticated = errors.New("rpc: TLS configuration authenticates no peer")
	// ErrTooManyConnections is a connection that a server closed because it had ServerConfig.Connections already.
	ErrTooManyConnections = errors.New("rpc: too many connections")
	// ErrHandshake is a TLS handshake that failed, at either end. The reason is wrapped beside it.
	ErrHandshake = errors.New("rpc: TLS handshake failed")
	// NoReply is what a Handler returns as its error to send no reply, now or ever: the caller waits until its
	// time-out.
	//
	//lint:ignore ST1012 it is a result, not a failure
	NoReply = errors.New("rpc: no reply")
)

// RemoteError is an error value that the server sent as its reply.
type RemoteError struct {
	// Method is the function that was called.
	Method string
	// Value is the error as decoded into an any, of whatever type the server chose; rpclib itself sends text.
	Value any
}

// Error returns the server's text, or its value in Go's notation, after the function's name.
func (e *RemoteError) Error() string {
	return fmt.Sprintf("rpc: %s replied with the error: %v", e.Method, e.Value)
}

// Is reports whether target is ErrMethodNotFound and the value is rpclib's text for a function that is not bound.
func (e *RemoteError) Is(target error) bool {
	text, ok := e.Value.(string)
	return target == ErrMethodNotFound && ok && strings.HasPrefix(text, notFoundPrefix)
}

// ErrorValue is an error that a handler returns to send any MessagePack value as the error, as rpclib's
// this_handler().respond_error does. As in rpclib a nil Value is sent as if the function did not exist.
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
