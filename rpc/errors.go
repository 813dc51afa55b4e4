package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Errors to branch on with errors.Is. Errors of this package wrap them with what happened and to whom.
var (
	// ErrClosed is a connection that is gone: closed by either side, broken, or given up after a malformed message.
	// errors.Is(err, net.ErrClosed) is true as well.
	ErrClosed error = closedError{}
	// ErrTimeout is a call that got no reply in time; errors.Is(err, context.DeadlineExceeded) is true as well. The
	// connection lives on and a late reply is dropped.
	ErrTimeout error = timeoutError{}
	// ErrFrameTooLarge is a message above the size limit. A receiver closes the connection on it; a sender refuses it
	// before it is sent, and the connection lives on.
	ErrFrameTooLarge = errors.New("rpc: message above the size limit")
	// ErrTooDeep is a message nested deeper than the limit. A receiver closes the connection on it; a sender refuses it.
	ErrTooDeep = errors.New("rpc: message nested too deep")
	// ErrTooManyElements is a message of more values than the limit. A receiver closes the connection on it; a sender
	// refuses it.
	ErrTooManyElements = errors.New("rpc: message has too many elements")
	// ErrProtocol is a peer that sent what is no MessagePack-RPC. The connection is closed on it.
	ErrProtocol = errors.New("rpc: malformed message")
	// ErrType is a value of another type, or out of the range, of the Go variable it should go into. A server answers it
	// as rpclib answers std::bad_cast.
	ErrType = errors.New("rpc: value of another type")
	// ErrMethodNotFound is a RemoteError with rpclib's answer for a function that is not bound.
	ErrMethodNotFound = errors.New("rpc: no such function at the server")
	// ErrPlaintext is unprotected TCP that nobody asked for by name.
	ErrPlaintext = errors.New("rpc: TCP without TLS: set TLS, or InsecurePlaintext when the network is trusted")
	// ErrPeerNotAuthenticated is a server's TLS configuration that would let peers in that prove no identity.
	ErrPeerNotAuthenticated = errors.New("rpc: TLS configuration authenticates no peer")
	// ErrTooManyConnections is a connection that a server closed because it had ServerConfig.Connections already.
	ErrTooManyConnections = errors.New("rpc: too many connections")
	// ErrHandshake is a TLS handshake that failed, at either end; what it failed with is wrapped beside it.
	ErrHandshake = errors.New("rpc: TLS handshake failed")
	// NoReply is what a Handler returns as its error to send no reply, now or ever: the caller waits until it gives up.
	//
	//lint:ignore ST1012 it is an answer, not a failure
	NoReply = errors.New("rpc: no reply")
)

// RemoteError is an error value that the server answered.
type RemoteError struct {
	// Method is the function that was called.
	Method string
	// Value is the error as decoded into an any, of whatever type the server chose; rpclib itself sends text.
	Value any
}

// Error is the server's text, or its value in Go's notation, after the function's name.
func (e *RemoteError) Error() string {
	return fmt.Sprintf("rpc: %s answered the error: %v", e.Method, e.Value)
}

// Is says whether the error is ErrMethodNotFound: text that begins as rpclib's answer for a function that is not bound.
func (e *RemoteError) Is(target error) bool {
	text, ok := e.Value.(string)
	return target == ErrMethodNotFound && ok && strings.HasPrefix(text, notFoundPrefix)
}

// ErrorValue is an error that a handler returns to answer any MessagePack value as the error, as rpclib's
// this_handler().respond_error does. A nil Value is answered as rpclib answers it: as if the function did not exist.
type ErrorValue struct {
	// Value is encoded as an argument would be.
	Value any
}

// Error is the value in Go's notation.
func (e ErrorValue) Error() string { return fmt.Sprint(e.Value) }

type closedError struct{}

func (closedError) Error() string { return "rpc: connection closed" }

// Unwrap makes errors.Is(err, net.ErrClosed) true.
func (closedError) Unwrap() error { return net.ErrClosed }

type timeoutError struct{}

func (timeoutError) Error() string { return "rpc: call timed out" }

// Timeout is true, as net.Error asks for.
func (timeoutError) Timeout() bool { return true }

// Unwrap makes errors.Is(err, context.DeadlineExceeded) true.
func (timeoutError) Unwrap() error { return context.DeadlineExceeded }
