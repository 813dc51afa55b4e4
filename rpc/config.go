package rpc

import (
	"cmp"
	"crypto/tls"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// Limits bound what one peer can make this process hold. A zero field means its default.
type Limits struct {
	// FrameSize is the longest message in bytes. A sender rejects a longer message, and a receiver of a longer message
	// closes the connection. Default 8 MiB.
	FrameSize int
	// Depth is how deep arrays and maps may be nested within an argument, result or error value. A deeper value is not
	// sent; receiving it closes the connection. Default 32.
	Depth int
	// Elements is how many values one received message may have, map keys included. A receiver of a message with more
	// values closes the connection. Each value decoded into an any takes up to a hundred bytes. Default 1 000 000.
	Elements int
	// InFlight is how many calls of one connection may be under way at once. At this limit a server stops reading, and
	// a client's next call waits. Default 1024.
	InFlight int
	// UnfinishedBytes bounds the bytes that all sessions of a server hold in unfinished messages. When it is exceeded,
	// sessions with an unfinished message are closed: first those that SetFrameSize has limited, among equals the one
	// whose message began first. Messages in a buffer of up to 64 KiB do not count. One message always fits. Clients
	// ignore UnfinishedBytes. Default 64 MiB.
	UnfinishedBytes int
	// QueuedBytes is how many bytes may be queued in each direction of a connection. Received bytes count until they
	// are handled. Sent bytes count until the network has taken them. At this limit a server stops reading, and a
	// sender waits. One message always fits. Default 1 MiB.
	QueuedBytes int
}

// Config is how a client connects and behaves. The zero value plus InsecurePlaintext or TLS is a good start.
type Config struct {
	// TLS protects the connection. TLS 1.3 is the lowest version, whatever the configuration has.
	TLS *tls.Config
	// InsecurePlaintext permits TCP without TLS. Unix sockets need neither InsecurePlaintext nor TLS.
	InsecurePlaintext bool
	// CallTimeout bounds each call from its start to its reply, in addition to the call's context. 0 means no further
	// bound.
	CallTimeout time.Duration
	// DialTimeout bounds connecting and the TLS handshake, in addition to Dial's context. Default 10 s.
	DialTimeout time.Duration
	// WriteTimeout is how long a write may make no progress before the connection is closed. Default 10 s.
	WriteTimeout time.Duration
	// KeepAlive is how long a connection may be silent before TCP probes the peer's machine. It is also the interval
	// between probes. Default 10 s. A negative value turns the probes off.
	KeepAlive time.Duration
	// UserTimeout is how long sent data or probes may stay unacknowledged before TCP closes the connection. On Linux it
	// is TCP_USER_TIMEOUT. Other systems ignore UserTimeout. On those, TCP closes the connection when the peer has not
	// acknowledged a probe for three KeepAlive intervals. Default 20 s. A negative value means the system's default,
	// many minutes.
	UserTimeout time.Duration
	// SegmentSize is the longest TCP segment in bytes, in both directions. A path may swallow larger packets without a
	// word. 0 means the system's choice. Only Linux limits segments.
	SegmentSize int
	// Limits bound what the peer can make this client hold.
	Limits Limits
	// Logger gets a line when the connection breaks while no call is under way. If calls are under way, they return the
	// reason instead. Nil means no log.
	Logger *zap.Logger
}

// Order decides which calls of one connection run at once and which wait for one another.
type Order int

const (
	// OrderPerConnection runs the calls of a connection one after the other, in the order received, as an rpclib server
	// with one worker does. Other connections do not wait.
	OrderPerConnection Order = iota
	// OrderPerMethod runs calls of the same function on a connection one after the other. Calls of different functions
	// run at once. A slow function only delays itself.
	OrderPerMethod
	// OrderNone runs all calls at once, as an rpclib server with many workers does.
	OrderNone
)

// ServerConfig is what a server permits. The zero value plus InsecurePlaintext or TLS is a good start.
type ServerConfig struct {
	// TLS protects every connection. TLS 1.3 is the lowest version. Its ClientAuth must be RequireAndVerifyClientCert,
	// or RequireAnyClientCert with VerifyConnection. With any other ClientAuth, Serve fails unless AnonymousClients is
	// set.
	TLS *tls.Config
	// AnonymousClients permits a TLS configuration that lets in clients without a proven identity.
	AnonymousClients bool
	// InsecurePlaintext permits TCP without TLS. Listeners of other networks need neither InsecurePlaintext nor TLS.
	InsecurePlaintext bool
	// Order decides which calls of one connection run at once and which wait for one another.
	Order Order
	// Connections is how many connections are served at once. The server closes any further connection immediately.
	// Default 256.
	Connections int
	// HandshakeTimeout bounds the TLS handshake. Default 10 s.
	HandshakeTimeout time.Duration
	// IdleTimeout is how long a connection without a call under way may be silent before it is closed. 0 means no
	// limit.
	IdleTimeout time.Duration
	// MessageTimeout is how long a client may pause in the middle of a message before the connection is closed. Default
	// 30 s.
	MessageTimeout time.Duration
	// WriteTimeout is how long the writing of replies may make no progress before the connection is closed. Default 10
	// s.
	WriteTimeout time.Duration
	// KeepAlive and UserTimeout are as in Config.
	KeepAlive   time.Duration
	UserTimeout time.Duration
	// Limits bound what each peer can make this server hold.
	Limits Limits
	// Admit is called for each accepted connection before anything is read from it or written to it. If it returns an
	// error, the server resets the connection without a log line or a callback. Nil admits all. Admit may reset other
	// sessions, for example to make room. It may be called concurrently and must not block.
	Admit func(*Session) error
	// OnReject is called once for each admitted session that ended before OnSession. The reason wraps ErrHandshake or
	// ErrTooManyConnections. If OnReject is set, the server does not log such connections, so OnReject decides how much
	// strangers can log. It may be called concurrently.
	OnReject func(session *Session, reason error)
	// OnSession is called when a connection was accepted and authenticated, before its first message is read.
	OnSession func(*Session)
	// OnSessionEnd is called once for each session after its last handler has returned. The error is nil after an
	// orderly end, otherwise the reason.
	OnSessionEnd func(*Session, error)
	// Logger gets a line for each connection that was refused or broke and for each handler that panicked. It gets at
	// most ten lines of one message in ten seconds. With nil only panics are logged, to standard error.
	Logger *zap.Logger
}

func (l Limits) withDefaults() Limits {
	l.FrameSize = cmp.Or(l.FrameSize, 8<<20)
	l.Depth = cmp.Or(l.Depth, 32)
	l.Elements = cmp.Or(l.Elements, 1_000_000)
	l.InFlight = cmp.Or(l.InFlight, 1024)
	l.UnfinishedBytes = cmp.Or(l.UnfinishedBytes, 64<<20)
	l.QueuedBytes = cmp.Or(l.QueuedBytes, 1<<20)
	return l
}

// message returns the limits of a whole message: two levels and a few values more than its arguments.
func (l Limits) message() msgpack.Limits {
	return msgpack.Limits{Size: l.FrameSize, Depth: l.Depth + 2, Elements: l.Elements + 5}
}

func (c Config) withDefaults() Config {
	c.DialTimeout = cmp.Or(c.DialTimeout, 10*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.KeepAlive = cmp.Or(c.KeepAlive, 10*time.Second)
	c.UserTimeout = cmp.Or(c.UserTimeout, 20*time.Second)
	c.Limits = c.Limits.withDefaults()
	c.Logger = cmp.Or(c.Logger, zap.NewNop()).Named("rpc")
	return c
}

func (c ServerConfig) withDefaults() ServerConfig {
	c.Connections = cmp.Or(c.Connections, 256)
	c.HandshakeTimeout = cmp.Or(c.HandshakeTimeout, 10*time.Second)
	c.MessageTimeout = cmp.Or(c.MessageTimeout, 30*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.KeepAlive = cmp.Or(c.KeepAlive, 10*time.Second)
	c.UserTimeout = cmp.Or(c.UserTimeout, 20*time.Second)
	c.Limits = c.Limits.withDefaults()
	if c.Logger == nil {
		c.Logger = panicLogger()
	}
	c.Logger = limited(c.Logger.Named("rpc"))
	return c
}

// limited keeps peers from filling the disk: of one message it logs ten lines in ten seconds.
func limited(logger *zap.Logger) *zap.Logger {
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, 10*time.Second, 10, 0)
	}))
}

// panicLogger logs only errors, to standard error. A server logs nothing but panics as errors.
func panicLogger() *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), zap.ErrorLevel))
}
