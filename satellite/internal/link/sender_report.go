package link

import (
	"fmt"
	"net"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/outbox"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// reasons are the texts of the fates that are logged, and of those that a caller may get.
var reasons = map[outbox.Fate]string{
	outbox.Expired:      "its validity ran out while the link was away",
	outbox.Overflowed:   "too many commands wait for the link",
	outbox.Disconnected: "the connection ended before its reply: it may have been executed",
	outbox.Discarded:    "the link was given up",
}

// droppedLocked follows commands that the outbox has dropped.
func (s *sender) droppedLocked(dropped []outbox.Dropped[*pending]) {
	discarded := 0
	for _, d := range dropped {
		p := d.Value
		s.dialect.settled(p)
		switch {
		case !p.answered:
			s.answerLocked(p, outcome{err: s.errorLocked(d.Fate)})
		case d.Fate != outbox.Discarded:
			s.undelivered(p, d.Fate)
		case p.command.Result == route.Null:
			discarded++
		}
	}
	if discarded > 0 {
		s.client.undelivered.Add(uint64(discarded))
		s.client.log.Warn("commands that waited for the satellite are discarded: the link is given up",
			zap.String("satellite", s.client.config.Peer), zap.Int("commands", discarded))
	}
}

// errorLocked returns the error of a caller that waits for a dropped command.
func (s *sender) errorLocked(fate outbox.Fate) error {
	switch fate {
	case outbox.Discarded:
		return s.over
	case outbox.Disconnected:
		return fmt.Errorf("%s: %w", reasons[fate], net.ErrClosed)
	}
	return errNoLink
}

// undelivered counts and logs a command that its caller takes for done. A command that a newer one replaced, or took
// back, has nothing left to do.
func (s *sender) undelivered(p *pending, fate outbox.Fate) {
	id := zap.String("interface", p.route.ID)
	command := zap.String("command", p.command.Name)
	switch {
	case p.command.Result != route.Null && fate != outbox.GivenUp:
	case p.command.Result != route.Null:
		s.client.log.Debug("a command that was answered negatively was not executed", id, command)
	case fate == outbox.Replaced, fate == outbox.Cancelled:
	default:
		s.client.undelivered.Add(1)
		s.client.log.Warn("a command whose caller takes it for done is not delivered", id, command, zap.String("reason", reasons[fate]))
	}
}

// late follows the reply to a command whose caller was answered before.
func (s *sender) late(p *pending, out outcome) {
	id := zap.String("interface", p.route.ID)
	command := zap.String("command", p.command.Name)
	switch {
	case p.command.Result == route.Null && out.err == nil:
	case p.command.Result == route.Null:
		s.client.undelivered.Add(1)
		s.client.log.Warn("a command whose caller takes it for done has failed", id, command, zap.Error(FromWireError(out.err)))
	case out.err != nil:
		s.client.log.Warn("a command that was answered negatively has failed later", id, command, zap.Error(FromWireError(out.err)))
	default:
		if p.command.AcceptsUpdate(out.result) {
			s.client.loop.post(handshake.FirmwareAccepted{})
		}
		s.client.log.Warn("a command that was answered negatively was executed: the satellite's variables tell its effect",
			id, command, zap.String("result", route.Clip(out.result)))
	}
}
