package link

import (
	"context"
	"errors"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// This file is how a Server's port and board go down.

// stop closes the server once its replies are sent, or after a second where a peer does not read them.
func (s *Server) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		s.server.Close()
	}
}

// resetTimeout bounds the call that resets this board.
const resetTimeout = 30 * time.Second

// reset resets this board, which also ends this process.
func (s *Server) reset() {
	ctx, cancel := context.WithTimeout(context.Background(), resetTimeout)
	defer cancel()
	err := s.config.Reset(ctx)
	switch {
	case errors.Is(err, net.ErrClosed):
		// EVerest's System ends itself instead of replying, and the manager then ends this module.
		s.log.Info("this board goes down with the reset", zap.Error(err))
	case err != nil:
		s.log.Error("this board's system did not take the reset", zap.Error(err))
		s.work.loop.post(handshake.ResetRefused{})
	}
}

// ResetForwarded reports that this board is being reset other than by a command under way: the link ends.
func (s *Server) ResetForwarded() { s.work.loop.post(handshake.ResetForwarded{}) }

// askReset asks whether this board may be reset, until the protocol has ended.
func (s *Server) askReset(reason handshake.Reason) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.running.Go(func() {
		select {
		case <-s.work.loop.ended:
			cancel()
		case <-ctx.Done():
		}
	})
	s.work.loop.post(s.config.AskReset(ctx, reason))
}
