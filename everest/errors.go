package everest

import (
	"errors"
	"fmt"
	"net"
)

// Errors that a module can branch on.
var (
	// ErrBrokerLost means that the connection to the broker has ended. It matches net.ErrClosed. A module that a
	// manager started ends with this error. A standalone module connects again.
	ErrBrokerLost error = closedError("everest: connection to the MQTT broker lost")
	// ErrTooLarge means that a message was not sent, because its packet would be larger than MaxPacketSize.
	ErrTooLarge = errors.New("everest: message too large")
	// ErrClosed means that Close has ended the module. It matches net.ErrClosed.
	ErrClosed error = closedError("everest: module closed")
	// ErrQueueFull ends a module when too many messages wait for one of its handlers; see Options.QueueMessages.
	ErrQueueFull = errors.New("everest: queue full")
	// ErrUnknownErrorType means that an error was not raised, because the interface does not list its type.
	ErrUnknownErrorType = errors.New("everest: error type not listed by the interface")
	// ErrConfigChanged ends a standalone module when a restarted manager has another configuration for it.
	ErrConfigChanged = errors.New("everest: configuration changed, restart the module")
	// ErrReleaseChanged ends a standalone module when EVerest has become a release whose messages are others.
	ErrReleaseChanged = errors.New("everest: the release of EVerest has changed, restart the module")
	// ErrShutdown is the cause of a handler's context that ended because the manager asked all modules to end. Run
	// itself then returns nil.
	ErrShutdown = errors.New("everest: the manager shuts down")
	// ErrNotConnected means that a command was called before Run had subscribed its replies, or while a standalone
	// module connects again.
	ErrNotConnected = errors.New("everest: not connected")
)

// closedError is an error that matches net.ErrClosed.
type closedError string

func (e closedError) Error() string { return string(e) }

func (e closedError) Is(target error) bool { return target == net.ErrClosed }

// tooLargeError names a message that is too large. It matches ErrTooLarge.
type tooLargeError struct {
	Topic string
	// Size is the size of the whole MQTT packet, in bytes.
	Size  int
	Limit int
}

// Error implements error.
func (e *tooLargeError) Error() string {
	return fmt.Sprintf("everest: message of %d bytes on %s exceeds the %d bytes that EVerest modules take", e.Size, e.Topic, e.Limit)
}

// Is reports whether target is ErrTooLarge.
func (e *tooLargeError) Is(target error) bool { return target == ErrTooLarge }

// queueFullError names the queue that is full, and thereby the handler. It matches ErrQueueFull.
type queueFullError struct {
	// Queue is the name given to NewQueue, or the topic.
	Queue string
	// Topic is the topic of the first message that the queue could not take.
	Topic    string
	Messages int
	Bytes    int
}

// Error implements error.
func (e *queueFullError) Error() string {
	return fmt.Sprintf("everest: the handler of %s is stuck or too slow: %d messages with %d bytes wait, and one on %s does not fit any more",
		e.Queue, e.Messages, e.Bytes, e.Topic)
}

// Is reports whether target is ErrQueueFull.
func (e *queueFullError) Is(target error) bool { return target == ErrQueueFull }
