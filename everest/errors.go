package everest

import (
	"errors"
	"fmt"
	"net"
)

// Errors that a module can branch on.
var (
	// ErrBrokerLost is the end of the connection to the broker; errors.Is(err, net.ErrClosed) is true as well. A module
	// that the manager started ends with it, for EVerest goes down anyway.
	ErrBrokerLost error = closedError("everest: connection to the MQTT broker lost")
	// ErrTooLarge refuses a message that a peer's buffer could not take. The error is a *tooLargeError.
	ErrTooLarge = errors.New("everest: message too large")
	// ErrClosed is the use of a module after Close, or after Run returned.
	ErrClosed error = closedError("everest: module closed")
	// ErrQueueFull ends a module whose handler does not keep up. The error is a *queueFullError.
	ErrQueueFull = errors.New("everest: queue full")
	// ErrUnknownErrorType refuses an error that the interface does not list.
	ErrUnknownErrorType = errors.New("everest: error type not listed by the interface")
	// ErrConfigChanged ends a standalone module that met a restarted manager with another configuration of it.
	ErrConfigChanged = errors.New("everest: configuration changed, restart the module")
	// ErrShutdown is the cause of the context's end when the manager asks all modules to end.
	ErrShutdown = errors.New("everest: the manager shuts down")
	// ErrNotConnected is a call before Run has subscribed, or while a standalone module has no broker.
	ErrNotConnected = errors.New("everest: not connected")
)

// closedError is an error that matches net.ErrClosed.
type closedError string

func (e closedError) Error() string { return string(e) }

func (e closedError) Is(target error) bool { return target == net.ErrClosed }

// tooLargeError names the message that ErrTooLarge refused.
type tooLargeError struct {
	Topic string
	// Size is that of the whole MQTT packet, in bytes.
	Size  int
	Limit int
}

// Error implements error.
func (e *tooLargeError) Error() string {
	return fmt.Sprintf("everest: message of %d bytes on %s exceeds the %d bytes that EVerest modules take", e.Size, e.Topic, e.Limit)
}

// Is makes it match ErrTooLarge.
func (e *tooLargeError) Is(target error) bool { return target == ErrTooLarge }

// queueFullError names the queue, with it the handler, that ErrQueueFull is about.
type queueFullError struct {
	// Queue is the name given to NewQueue, or the topic.
	Queue string
	// Topic is that of the message which did not fit any more.
	Topic    string
	Messages int
	Bytes    int
}

// Error implements error.
func (e *queueFullError) Error() string {
	return fmt.Sprintf("everest: the handler of %s is stuck or too slow: %d messages with %d bytes wait, and one on %s does not fit any more",
		e.Queue, e.Messages, e.Bytes, e.Topic)
}

// Is makes it match ErrQueueFull.
func (e *queueFullError) Is(target error) bool { return target == ErrQueueFull }
