package link

import (
	"context"
	"errors"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

var errLegacyClosed = errors.New("satellite: this agent does not serve the legacy dialect: set its configuration key dialect to auto")

// registerSynchronisation registers the functions that exist as soon as the port is open. The handshake decides the
// replies.
func (s *Server) registerSynchronisation() error {
	functions := map[string]rpc.Handler{
		FunctionIAmHere:  s.iAmHere,
		FunctionIAmReady: s.iAmReady,
		FunctionExit:     s.exit,
	}
	if s.config.Protocol.Dialects != handshake.OnlyLegacy {
		functions[FunctionHello] = s.hello
	}
	return s.register(functions)
}

// registerWork registers the functions that exist once a controller has announced itself.
func (s *Server) registerWork() error {
	if s.machine.Dialect() == handshake.Legacy {
		return s.register(legacyServer{&s.work, route.ConversionsOf(s.config.Routes)}.functions())
	}
	if err := s.register(s.v2.functions()); err != nil {
		return err
	}
	return s.server.Handle(FunctionPing, s.v2.ping, rpc.NonBlocking())
}

func (s *Server) register(functions map[string]rpc.Handler) error {
	for name, handler := range functions {
		if err := s.server.Handle(name, handler); err != nil {
			return err
		}
	}
	return nil
}

// hello serves link_hello. An agent that speaks none of the controller's versions replies as if it did not have the
// function.
func (s *Server) hello(ctx context.Context, request *rpc.Request) (any, error) {
	hello, err := readHelloCall(request)
	if err != nil {
		return nil, err
	}
	version := hello.version()
	if version == 0 || hello.instanceID == 0 {
		return nil, rpc.ErrorValue{}
	}
	session := rpc.SessionFrom(ctx)
	if !s.claim(session) {
		return nil, rpc.NoReply
	}
	s.conns.speak(session, version)
	peer := handshake.Peer{
		InstanceID: hello.instanceID, Epoch: hello.epoch, HeartbeatTimeout: hello.heartbeatTimeout, KeepLink: hello.keepLink,
	}
	known, err := s.conns.hold(ctx, handshake.Hello, s.work.loop, func(id handshake.ConnID) handshake.Event {
		return handshake.HelloCalled{Conn: id, Peer: peer}
	})
	if err != nil {
		return nil, err
	}
	answer := helloAnswer{version: version, instanceID: s.instanceID, known: known}
	if s.config.Connected(route.System) {
		answer.clock = time.Now()
	}
	return answer.answer(), nil
}

// iAmHere serves i_am_here.
func (s *Server) iAmHere(ctx context.Context, request *rpc.Request) (any, error) {
	if err := request.Decode(); err != nil {
		return nil, err
	}
	session := rpc.SessionFrom(ctx)
	_, version := s.conns.find(session)
	if s.config.Protocol.Dialects == handshake.OnlyV2 && version == 0 {
		return nil, errLegacyClosed
	}
	timeout := time.Duration(s.v2.timeout.Load())
	if s.config.Admission.RefusesTakeover(session, FunctionIAmHere, closed(s.agreed), timeout) || !s.claim(session) {
		return nil, rpc.NoReply
	}
	return s.conns.hold(ctx, handshake.IAmHere, s.work.loop, called(handshake.IAmHere))
}

// iAmReady serves i_am_ready. A C++ controller of 2024.3 announces itself with it.
func (s *Server) iAmReady(ctx context.Context, request *rpc.Request) (any, error) {
	session := rpc.SessionFrom(ctx)
	if _, version := s.conns.find(session); version == 0 && !closed(s.agreed) {
		if s.config.Protocol.Dialects == handshake.OnlyV2 {
			return nil, errLegacyClosed
		}
		if !s.claim(session) {
			return nil, rpc.NoReply
		}
	}
	return s.synchronisation(handshake.IAmReady)(ctx, request)
}

// claim assigns the lease to the controller that announces itself on a session. It returns false where another
// controller holds the lease.
func (s *Server) claim(session *rpc.Session) bool {
	return s.config.Admission.Claim(session, closed(s.agreed))
}

// synchronisation serves a function without arguments and result.
func (s *Server) synchronisation(function handshake.Function) rpc.Handler {
	return func(ctx context.Context, request *rpc.Request) (any, error) {
		if err := request.Decode(); err != nil {
			return nil, err
		}
		_, err := s.conns.hold(ctx, function, s.work.loop, called(function))
		return nil, err
	}
}

// exit serves exit. A refused exit only closes the connection after the reply.
func (s *Server) exit(ctx context.Context, request *rpc.Request) (any, error) {
	session := rpc.SessionFrom(ctx)
	if s.config.Admission.RefusesPrivileged(session, FunctionExit) {
		session.CloseAfterReply()
		return nil, nil
	}
	return s.synchronisation(handshake.Exit)(ctx, request)
}

func called(function handshake.Function) func(handshake.ConnID) handshake.Event {
	return func(id handshake.ConnID) handshake.Event { return handshake.Called{Conn: id, Function: function} }
}
