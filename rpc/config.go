package rpc

import (
	"crypto/tls"
	"net"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// Limits bound what one peer can make this process hold. The zero value of each field means its default.
type Limits struct {
	// FrameSize is the longest message in bytes, sent or received. Default 8 MiB.
	FrameSize int
	// Depth is how deep arrays and maps may stand inside one another within an argument, result or error value.
	// Default 32.
	Depth int
	// Elements is of how many values one received message may consist, map keys counted too. Decoding into an any takes
	// some tens of bytes for each. Default 1 000 000.
	Elements int
	// InFlight is how many calls of one connection may be under way at once: at a server those that were received and
	// are not answered, beyond which it stops reading; at a client those without a reply, beyond which a call waits.
	// Default 1024.
	InFlight int
	// QueuedBytes is how many bytes of one connection may be queued each way: received and not yet handled, or sent and
	// not yet taken by the network. Beyond it a server stops reading and a sender waits; one message is always let
	// through. Default 1 MiB.
	QueuedBytes int
}

// Config says how a client connects and behaves. The zero value plus InsecurePlaintext or TLS is a good start.
type Config struct {
	// TLS protects the connection; TLS 1.3 is the least that is spoken, whatever the configuration says.
	TLS *tls.Config
	// InsecurePlaintext says by name that TCP without TLS is wanted. Unix sockets need neither.
	InsecurePlaintext bool
	// CallTimeout bounds each call from its start to its reply, beside the call's context. 0: only the context does.
	CallTimeout time.Duration
	// DialTimeout bounds connecting and the TLS handshake, beside Dial's context. Default 10 s.
	DialTimeout time.Duration
	// WriteTimeout is how long the peer may take nothing of what is sent before the connection is given up. Default 10 s.
	WriteTimeout time.Duration
	// KeepAlive is after which silence TCP asks whether the peer's machine is still there, and then how often.
	// Default 10 s; negative: never.
	KeepAlive time.Duration
	// UserTimeout is after how long without an answer from the peer's machine TCP gives the connection up, with data under
	// way as well as in silence (TCP_USER_TIMEOUT; Linux only, elsewhere three KeepAlive intervals). Default 20 s;
	// negative: the system's default, many minutes.
	UserTimeout time.Duration
	// Limits bound what the peer can make this client hold.
	Limits Limits
	// Logger is told what no caller is told, such as why a connection broke while no call was under way. Nil: nobody.
	Logger *zap.Logger
}

// Order says which calls of one connection wait for one another.
type Order int

const (
	// OrderPerConnection handles the calls of a connection one after the other, in the order in which they came: what one
	// connection sees of a rpclib server with one worker. Other connections do not wait.
	OrderPerConnection Order = iota
	// OrderPerMethod handles calls of one function of a connection one after the other, and different functions at once:
	// a slow function holds up only itself.
	OrderPerMethod
	// OrderNone handles all calls at once: rpclib with many workers.
	OrderNone
)

// ServerConfig says what a server allows. The zero value plus InsecurePlaintext or TLS is a good start.
type ServerConfig struct {
	// TLS protects every connection; TLS 1.3 is the least that is spoken. It must authenticate clients: either
	// RequireAndVerifyClientCert, or RequireAnyClientCert with VerifyConnection, else Serve refuses.
	TLS *tls.Config
	// AnonymousClients allows a TLS configuration that lets clients in which prove no identity.
	AnonymousClients bool
	// InsecurePlaintext says by name that TCP without TLS is wanted. Other listeners need neither.
	InsecurePlaintext bool
	// Order says which calls of one connection wait for one another.
	Order Order
	// Connections is how many connections are served at once; one more is closed at once. Default 256.
	Connections int
	// HandshakeTimeout bounds the TLS handshake. Default 10 s.
	HandshakeTimeout time.Duration
	// IdleTimeout closes a connection on which nothing was received and no call was under way for so long. 0: never.
	IdleTimeout time.Duration
	// MessageTimeout is how long a message that has begun may bring nothing further before the connection is closed.
	// Default 30 s.
	MessageTimeout time.Duration
	// WriteTimeout is how long a peer may take nothing of its replies before it is cut off. Default 10 s.
	WriteTimeout time.Duration
	// KeepAlive and UserTimeout are as in Config.
	KeepAlive   time.Duration
	UserTimeout time.Duration
	// Limits bound what each peer can make this server hold.
	Limits Limits
	// Admit is asked about each accepted connection before anything is read from it or written to it; an error closes it at
	// once, and is told to nobody. Nil lets all in. It may be called concurrently and must not block.
	Admit func(remote net.Addr) error
	// OnReject is called once for each connection that Admit let in and that became no session, with the reason: its TLS
	// handshake failed, or there were ErrTooManyConnections. It is called in the place of a line in the log, so that who
	// serves strangers decides how much they may have logged. It may be called concurrently.
	OnReject func(remote net.Addr, reason error)
	// OnSession is called when a connection was accepted and authenticated, before its first message is read.
	OnSession func(*Session)
	// OnSessionEnd is called once for each session after its last handler has returned: with nil after an orderly end,
	// else with what ended it.
	OnSessionEnd func(*Session, error)
	// Logger gets a line for each connection that was refused or broke and each handler that panicked; of one message, ten
	// lines in ten seconds. Nil: only panics are logged, to standard error.
	Logger *zap.Logger
}

const (
	defaultDialTimeout    = 10 * time.Second
	defaultWriteTimeout   = 10 * time.Second
	defaultKeepAlive      = 10 * time.Second
	defaultMessageTimeout = 30 * time.Second
	defaultUserTimeout    = 20 * time.Second
	defaultConnections    = 256
)

func (l Limits) withDefaults() Limits {
	l.FrameSize = orDefault(l.FrameSize, 8<<20)
	l.Depth = orDefault(l.Depth, 32)
	l.Elements = orDefault(l.Elements, 1_000_000)
	l.InFlight = orDefault(l.InFlight, 1024)
	l.QueuedBytes = orDefault(l.QueuedBytes, 1<<20)
	return l
}

// frame are the limits of a whole message: two levels and a few values more than what is inside.
func (l Limits) frame() msgpack.Limits {
	return msgpack.Limits{Size: l.FrameSize, Depth: l.Depth + 2, Elements: l.Elements + 5}
}

func (c Config) withDefaults() Config {
	c.DialTimeout = orDefault(c.DialTimeout, defaultDialTimeout)
	c.WriteTimeout = orDefault(c.WriteTimeout, defaultWriteTimeout)
	c.KeepAlive = orDefault(c.KeepAlive, defaultKeepAlive)
	c.UserTimeout = orDefault(c.UserTimeout, defaultUserTimeout)
	c.Limits = c.Limits.withDefaults()
	c.Logger = orNop(c.Logger)
	return c
}

func (c ServerConfig) withDefaults() ServerConfig {
	c.Connections = orDefault(c.Connections, defaultConnections)
	c.HandshakeTimeout = orDefault(c.HandshakeTimeout, defaultDialTimeout)
	c.MessageTimeout = orDefault(c.MessageTimeout, defaultMessageTimeout)
	c.WriteTimeout = orDefault(c.WriteTimeout, defaultWriteTimeout)
	c.KeepAlive = orDefault(c.KeepAlive, defaultKeepAlive)
	c.UserTimeout = orDefault(c.UserTimeout, defaultUserTimeout)
	c.Limits = c.Limits.withDefaults()
	if c.Logger == nil {
		c.Logger = panicLogger()
	}
	c.Logger = limited(c.Logger.Named("rpc"))
	return c
}

func orDefault[T int | time.Duration](value, standard T) T {
	if value == 0 {
		return standard
	}
	return value
}

// limited keeps peers from filling the disk: of lines with one text ten get through in ten seconds.
func limited(logger *zap.Logger) *zap.Logger {
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, 10*time.Second, 10, 0)
	}))
}

// panicLogger returns a logger of what must not be lost where nobody gave one: panics, which alone are logged as errors.
func panicLogger() *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), zap.ErrorLevel))
}

func orNop(logger *zap.Logger) *zap.Logger {
	if logger == nil {
		return zap.NewNop()
	}
	return logger.Named("rpc")
}
