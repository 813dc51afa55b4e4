package link

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// This file is how long the caller of a command waits, and what it gets then.

// abandon ends a caller's wait with its context.
func (s *sender) abandon(p *pending, err error) (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.answered {
		out := <-p.done
		return out.result, out.err
	}
	p.abandoned = true
	s.giveUpLocked(p, err)
	return nil, err
}

// overdue is called when a caller has waited long enough, or should look again.
func (s *sender) overdue(p *pending) {
	if conn := s.endWait(p); conn != nil {
		// The command must not take the board down later. What the host has not acknowledged is dropped with the
		// connection.
		conn.Close()
	}
}

// endWait ends a caller's wait if it is time. It returns the connection where that must end too.
func (s *sender) endWait(p *pending) *rpc.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.answered {
		return nil
	}
	now := time.Now()
	sent, written, _ := s.box.Sent(p.id)
	if p.command.Result == route.Null {
		if sent {
			s.box.Stall(p.id)
			s.answerLocked(p, null)
		} else {
			s.giveUpLocked(p, errNoLink)
		}
		return nil
	}
	if limit := p.received.Add(s.client.config.CommandTimeout); !now.Before(limit) {
		p.abandoned = true
		s.giveUpLocked(p, context.DeadlineExceeded)
	} else if sent {
		return s.endWaitOfSentLocked(p, limit)
	} else if deadline := s.deadline(p, written); now.Before(deadline) {
		p.timer.Reset(deadline.Sub(now))
	} else {
		s.giveUpLocked(p, ErrAway)
	}
	return nil
}

// endWaitOfSentLocked handles a command that is on the link's connection. In v2 the heartbeat decides about that
// connection. A legacy agent serves one call after the other: one that is only slow must not be taken for one whose
// cable is cut, so the host's acknowledgements decide.
func (s *sender) endWaitOfSentLocked(p *pending, limit time.Time) *rpc.Client {
	if s.box.Resumable {
		p.timer.Reset(time.Until(limit))
		return nil
	}
	if s.conn.Unacknowledged() < s.client.config.CommandWait {
		p.timer.Reset(promptly)
		return nil
	}
	s.giveUpLocked(p, errMayRun)
	if p.command.Rule() == route.Never && p.command.Privileged {
		return s.conn
	}
	return nil
}

// deadline returns how long the caller of a command with a result waits for a link that is away. Where the command was
// sent, the time counts from the last sign of life.
func (s *sender) deadline(p *pending, written bool) time.Time {
	from := p.received
	if heard := s.started.Add(time.Duration(s.heard.Load())); written && heard.After(from) {
		from = heard
	}
	return from.Add(s.client.config.CommandWait)
}

// giveUpLocked answers a caller with an error. The command is not executed any more, as far as that is in this board's
// hands.
func (s *sender) giveUpLocked(p *pending, err error) {
	sent, _, _ := s.box.Sent(p.id)
	certain := s.box.GiveUp(p.id)
	if errors.Is(err, ErrAway) && !certain && s.box.Resumable {
		err = errMayHaveRun
	}
	if sent && p.number != 0 {
		s.cancelLocked(p.number)
	}
	if certain {
		s.dialect.settled(p)
	}
	s.answerLocked(p, outcome{err: err})
}

// cancelLocked ends a command on the satellite, because nobody waits for its result any more.
func (s *sender) cancelLocked(number uint64) {
	err := s.conn.Start(context.Background(), FunctionCancel, nil, func(error) {}, number)
	if err != nil {
		s.client.log.Debug("the satellite does not know that a command is cancelled", zap.Error(err))
	}
}

// answerLocked gives the caller its outcome. It reports whether the caller still waited.
func (s *sender) answerLocked(p *pending, out outcome) bool {
	if p.answered {
		return false
	}
	p.answered = true
	p.timer.Stop()
	p.done <- out
	return true
}
