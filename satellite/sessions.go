package satellite

import (
	"context"
	"slices"
	"sync"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// sessions numbers the connections of the agent's server for the handshake, and
// keeps the calls of the synchronisation functions whose answer it has yet to
// give. The zero value is empty.
type sessions struct {
	lock    sync.Mutex
	last    handshake.ConnID
	numbers map[*rpc.Session]handshake.ConnID
	held    []*heldCall
	// answered wait for release: a session must know that it ends after its
	// reply before the reply is sent.
	answered []*heldCall
	// greeted are the connections that spoke v2.
	greeted map[*rpc.Session]bool
}

type heldCall struct {
	session  *rpc.Session
	number   handshake.ConnID
	function handshake.Function
	known    bool
	done     chan struct{}
}

// begin numbers a connection.
func (s *sessions) begin(session *rpc.Session) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.numbers == nil {
		s.numbers = make(map[*rpc.Session]handshake.ConnID)
	}
	s.last++
	s.numbers[session] = s.last
}

// end forgets a connection and returns the number that it had.
func (s *sessions) end(session *rpc.Session) handshake.ConnID {
	s.lock.Lock()
	defer s.lock.Unlock()
	number := s.numbers[session]
	delete(s.numbers, session)
	delete(s.greeted, session)
	return number
}

// number returns the number of a connection.
func (s *sessions) number(session *rpc.Session) handshake.ConnID {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.numbers[session]
}

// hold announces a call to the handshake and waits for its answer, which for
// i_am_here and link_hello says whether a controller was known already. Without an answer the
// caller gets none: its connection ends.
func (s *sessions) hold(ctx context.Context, function handshake.Function, loop *loop, event func(handshake.ConnID) handshake.Event) (known bool, err error) {
	call := &heldCall{session: rpc.SessionFrom(ctx), function: function, done: make(chan struct{})}
	s.lock.Lock()
	call.number = s.numbers[call.session]
	s.held = append(s.held, call)
	if function == handshake.Hello {
		if s.greeted == nil {
			s.greeted = make(map[*rpc.Session]bool)
		}
		s.greeted[call.session] = true
	}
	s.lock.Unlock()
	defer s.forget(call)

	loop.post(event(call.number))
	select {
	case <-call.done:
		return call.known, nil
	case <-loop.ended:
	case <-ctx.Done():
	}
	// Both may have happened: an answer that was given goes out.
	select {
	case <-call.done:
		return call.known, nil
	default:
		return false, rpc.NoReply
	}
}

func (s *sessions) forget(call *heldCall) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.held = slices.DeleteFunc(s.held, func(other *heldCall) bool { return other == call })
}

func (s *sessions) answer(action handshake.Reply) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.held = slices.DeleteFunc(s.held, func(call *heldCall) bool {
		if call.function != action.Function || call.number != action.Conn {
			return false
		}
		call.known = action.Known
		s.answered = append(s.answered, call)
		return true
	})
}

// closeAfterReply ends a session after the answers that were just given to it.
func (s *sessions) closeAfterReply(number handshake.ConnID) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, call := range s.answered {
		if call.number == number {
			call.session.CloseAfterReply()
		}
	}
}

// release lets the answered calls return.
func (s *sessions) release() {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, call := range s.answered {
		close(call.done)
	}
	s.answered = nil
}

// closeNow ends a session without regard to what it still gets.
func (s *sessions) closeNow(number handshake.ConnID) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for session, other := range s.numbers {
		if other == number {
			session.Close()
		}
	}
}

func (s *sessions) hasGreeted(session *rpc.Session) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.greeted[session]
}
