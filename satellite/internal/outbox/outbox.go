// Package outbox decides which command goes over the link to the satellite, and when.
//
// Modules of the main board call one EVSE after the other. A caller that waits for a lost satellite holds up the EVSEs
// of all others. So a command without a result waits here, and its caller does not.
//
// An [Outbox] is a pure value: methods are its events, and [Outbox.Next] returns what to send. The package opens no
// connection and looks at no clock. Package link owns the connection, the timers and the callers.
//
//	Add -> Send    the caller's command goes out at once: nothing is held up
//	    -> Keep    the command waits for the link, or behind another one
//	    -> Refuse  the command is never sent
//	Up, Down       the link's connection is there, or gone
//	Stall          a sent command without a result is not answered promptly
//	Heard          the satellite gave a sign of life
//	Answered, Lost, Busy   how a sent command ended
//	GiveUp         the caller of a command with a result has waited long enough
//	Next           what to send now
//
// What an Outbox promises:
//   - A command is sent again only after Lost or Busy. The receiver of a resumable link executes it once by its number.
//   - A command that was given up, replaced or has expired is never sent again. Where it may have arrived it is revoked.
//   - Commands without a result are sent in the order of Add, one at a time after something was held up. Only a module
//     that hangs is overtaken, by commands of other interfaces.
//   - A command with a result is not sent before earlier ones of its interface without a result are answered.
//   - No more than MaxCommands commands and MaxBytes bytes wait. The oldest that was never sent makes room.
package outbox

import (
	"slices"
	"time"

	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// Bounds of what waits.
const (
	MaxCommands = 1000
	MaxBytes    = 1 << 20
)

type state uint8

const (
	// waiting: to be sent.
	waiting state = iota + 1
	// sent: on its way, or being executed.
	sent
	// revocable: to be revoked, because it may have arrived.
	revocable
	// revoked: its revocation is on its way.
	revoked
)

type item[T any] struct {
	Command
	id    ID
	value T
	state state
	// link is the connection on which it was sent.
	link uint64
	// written reports whether it may have arrived on a connection that is gone.
	written bool
	// detached reports whether nobody waits for the reply. stalled reports whether the reply does not come promptly. slow
	// reports whether the satellite gave a sign of life since: then its module is slow, and not the link.
	detached, stalled, slow bool
	// fate is why it is revoked, or will be if its connection is lost.
	fate Fate
}

// Outbox holds the commands of one link that are not answered. T is what the shell keeps with a command. An Outbox is
// not safe for concurrent use. The zero value is an outbox whose link is away and cannot be resumed.
type Outbox[T any] struct {
	// Resumable reports whether a command that was sent may be sent again on the link's next connection.
	Resumable bool

	items []*item[T]
	last  ID
	// link is the connection, 0 while it is away. links counts the connections.
	link, links uint64
	// silent reports whether a command was stalled, and the satellite gave no sign of life since.
	silent bool
}

// Add takes a new command. Those that it replaces, cancels or displaces are dropped.
func (o *Outbox[T]) Add(now time.Time, command Command, value T) (ID, Verdict, []Dropped[T]) {
	added := &item[T]{Command: command, value: value, state: waiting}
	dropped := o.expire(now)
	if command.Rule == route.Never && o.link == 0 {
		return 0, Refuse, dropped
	}
	for _, other := range slices.Clone(o.items) {
		switch {
		case other.Interface != command.Interface || other.state != waiting:
		case command.Cancels != "" && other.Name == command.Cancels:
			dropped = o.withdraw(other, Cancelled, dropped)
		case command.Rule == route.Newest && other.Name == command.Name && other.Subject == command.Subject:
			dropped = o.withdraw(other, Replaced, dropped)
		}
	}
	verdict := Keep
	if o.link != 0 && !o.held(added, len(o.items)) {
		verdict, added.state, added.link = Send, sent, o.link
	} else {
		var room bool
		if dropped, room = o.makeRoom(command, dropped); !room {
			return 0, Refuse, append(dropped, Dropped[T]{value, Overflowed})
		}
		added.detached = !command.Result && command.Rule != route.Never
	}
	o.last++
	added.id = o.last
	o.items = append(o.items, added)
	return added.id, verdict, dropped
}

// held reports whether a command has to wait behind the first count commands. A module that hangs on a satellite that
// is alive holds up its own interface only.
func (o *Outbox[T]) held(command *item[T], count int) bool {
	if (command.Result || command.Rule == route.Never) && o.silent {
		return true
	}
	var hanging []string
	for _, earlier := range o.items[:count] {
		if earlier.slow {
			hanging = append(hanging, earlier.Interface)
		}
		switch {
		case earlier.Result || earlier.state == revocable || earlier.state == revoked:
		case earlier.Interface != command.Interface && slices.Contains(hanging, earlier.Interface):
		case !command.detached && !earlier.detached:
			// Both callers wait for their replies: nothing is held up.
		case !command.Result || earlier.Interface == command.Interface:
			return true
		}
	}
	return false
}

// makeRoom drops the oldest commands without a result that were never sent, until there is room for a command.
func (o *Outbox[T]) makeRoom(command Command, dropped []Dropped[T]) ([]Dropped[T], bool) {
	if command.Size > MaxBytes {
		return dropped, false
	}
	for {
		count, bytes := o.Waiting()
		if count < MaxCommands && bytes+command.Size <= MaxBytes {
			return dropped, true
		}
		oldest := slices.IndexFunc(o.items, func(i *item[T]) bool { return i.state == waiting && !i.written && !i.Result })
		if oldest < 0 {
			return dropped, false
		}
		dropped = o.withdraw(o.items[oldest], Overflowed, dropped)
	}
}

// Waiting returns how many commands wait to be sent or revoked, and their size.
func (o *Outbox[T]) Waiting() (count, bytes int) {
	for _, item := range o.items {
		if item.state == waiting || item.state == revocable {
			count++
			bytes += item.Size
		}
	}
	return count, bytes
}

// Up reports that the link has a new connection.
func (o *Outbox[T]) Up() {
	o.links++
	o.link, o.silent = o.links, false
}

// Down reports that the link's connection is gone. The commands on it end with Lost.
func (o *Outbox[T]) Down() []Dropped[T] {
	o.link, o.silent = 0, false
	var dropped []Dropped[T]
	for _, item := range slices.Clone(o.items) {
		if item.Rule == route.Never && item.state == waiting && !item.written {
			dropped = o.withdraw(item, Refused, dropped)
		}
	}
	return dropped
}

// Heard reports a sign of life of the satellite. It reports whether Next may have something to send.
func (o *Outbox[T]) Heard() bool {
	if o.silent {
		for _, item := range o.items {
			item.slow = item.stalled
		}
	}
	o.silent = false
	return len(o.items) > 0
}

// Stall reports that a command without a result is not answered promptly. Its caller does not wait any longer, and the
// command goes on.
func (o *Outbox[T]) Stall(id ID) {
	item := o.find(id)
	if item == nil {
		return
	}
	item.detached = true
	if item.state == sent {
		item.stalled, o.silent = true, true
	}
}

// Answered reports the reply to a command or to its revocation, and returns why the command was revoked, 0 where it was
// not.
func (o *Outbox[T]) Answered(id ID) Fate {
	item := o.find(id)
	if item == nil {
		return 0
	}
	o.silent = false
	o.remove(item)
	if item.state != revoked {
		return 0
	}
	return item.fate
}

// Busy reports that a command could not be sent: too much is on its way.
func (o *Outbox[T]) Busy(id ID) {
	switch item := o.find(id); {
	case item == nil:
	case item.state == revoked:
		item.state = revocable
	default:
		item.state, item.detached = waiting, item.detached || !item.Result
	}
}

// Lost reports that a connection ended before the reply to a command or to its revocation. The command may have been
// executed.
func (o *Outbox[T]) Lost(now time.Time, id ID) []Dropped[T] {
	item := o.find(id)
	if item == nil {
		return nil
	}
	var dropped []Dropped[T]
	if item.link == o.link {
		dropped = o.Down()
	}
	item.written, item.stalled, item.slow = true, false, false
	switch {
	case !o.Resumable, item.SentOnce:
		return o.drop(item, Disconnected, dropped)
	case item.state == revoked:
		item.state = revocable
	case item.fate != 0:
		item.state = revocable
	case item.Rule == route.Newest && o.hasNewer(item):
		item.state, item.fate = revocable, Replaced
	default:
		item.state, item.detached = waiting, item.detached || !item.Result
	}
	return append(dropped, o.expire(now)...)
}

func (o *Outbox[T]) hasNewer(item *item[T]) bool {
	for _, other := range o.items {
		if other.id > item.id && other.Interface == item.Interface && other.Name == item.Name && other.Subject == item.Subject {
			return true
		}
	}
	return false
}

// GiveUp reports that the caller of a command has got the negative result, or does not wait any longer. It reports
// whether the command was certainly not executed. Otherwise the command is revoked, unless its reply comes first.
func (o *Outbox[T]) GiveUp(id ID) (certain bool) {
	item := o.find(id)
	if item == nil {
		return false
	}
	item.detached = true
	switch {
	case item.state == waiting && !item.written:
		o.remove(item)
		return true
	case item.state == waiting:
		item.state = revocable
		fallthrough
	default:
		item.fate = GivenUp
		return false
	}
}

// Sent reports whether a command is on the link's connection. known is false once it has ended.
func (o *Outbox[T]) Sent(id ID) (sentNow, written, known bool) {
	item := o.find(id)
	if item == nil {
		return false, false, false
	}
	return item.state == sent || item.state == revoked, item.written, true
}

// Step is what to send.
type Step[T any] struct {
	ID    ID
	Value T
	// Revoke asks to revoke the command instead of sending it.
	Revoke bool
}

// Next returns what to send now, and marks it as sent. ok is false where nothing is to be sent.
func (o *Outbox[T]) Next(now time.Time) (next Step[T], ok bool, dropped []Dropped[T]) {
	dropped = o.expire(now)
	if o.link == 0 {
		return next, false, dropped
	}
	for i, item := range o.items {
		switch {
		case item.state == revocable:
			item.state = revoked
		case item.state == waiting && !o.held(item, i):
			item.state = sent
		default:
			continue
		}
		item.link = o.link
		return Step[T]{item.id, item.value, item.state == revoked}, true, dropped
	}
	return next, false, dropped
}

// Discard drops all commands, because the link is given up.
func (o *Outbox[T]) Discard() []Dropped[T] {
	var dropped []Dropped[T]
	for len(o.items) > 0 {
		dropped = o.drop(o.items[0], Discarded, dropped)
	}
	o.link, o.silent = 0, false
	return dropped
}

// expire withdraws the waiting commands whose validity has run out.
func (o *Outbox[T]) expire(now time.Time) []Dropped[T] {
	var dropped []Dropped[T]
	for i := 0; i < len(o.items); i++ {
		item := o.items[i]
		if item.state != waiting || item.Expires.IsZero() || now.Before(item.Expires) {
			continue
		}
		if dropped = o.withdraw(item, Expired, dropped); item.state == waiting {
			i--
		}
	}
	return dropped
}

// withdraw drops a waiting command. One that may have arrived is revoked first.
func (o *Outbox[T]) withdraw(item *item[T], fate Fate, dropped []Dropped[T]) []Dropped[T] {
	if !item.written {
		return o.drop(item, fate, dropped)
	}
	item.state, item.fate = revocable, fate
	return dropped
}

func (o *Outbox[T]) drop(item *item[T], fate Fate, dropped []Dropped[T]) []Dropped[T] {
	o.remove(item)
	return append(dropped, Dropped[T]{item.value, fate})
}

func (o *Outbox[T]) remove(item *item[T]) {
	if i := slices.Index(o.items, item); i >= 0 {
		o.items = slices.Delete(o.items, i, i+1)
	}
}

func (o *Outbox[T]) find(id ID) *item[T] {
	for _, item := range o.items {
		if item.id == id {
			return item
		}
	}
	return nil
}
