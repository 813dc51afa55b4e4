package satellite

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// Functions of the link between two Go modules: doc/link-v2.md.
const (
	FunctionLinkHello  = "link_hello"
	FunctionLinkEvents = "link_events"
	FunctionLinkPush   = "link_push"
	FunctionLinkCancel = "link_cancel"
	FunctionLinkPing   = "link_ping"
	FunctionLinkStatus = "link_status"
	// prefixLinkCommand precedes "<interface>.<command>".
	prefixLinkCommand = "link_command:"

	linkVersion = 2
)

// linkCommand returns the function of v2 that carries a command.
func linkCommand(r route.Route, command route.Command) string {
	return prefixLinkCommand + r.ID + "." + command.Name
}

// The kinds of events.
const (
	kindVariable = iota
	kindRaised
	kindCleared
	kindActive
)

// appendEvents writes the answer of link_events. The events are one binary, so
// that its reader knows from the start how much is to come.
func appendEvents(buffer []byte, givenUp uint64, events []Event) rpc.Raw {
	buffer = append(buffer, 0x92)
	buffer = appendInteger(buffer, givenUp)
	buffer = append(buffer, 0xc6, 0, 0, 0, 0)
	start := len(buffer)
	buffer = binary.BigEndian.AppendUint32(append(buffer, 0xdd), uint32(len(events)))
	for _, event := range events {
		kind, value := byte(kindVariable), event.Value
		switch {
		case event.Active != nil:
			kind, value = kindActive, event.Active
		case event.Error != nil && event.Raised:
			kind, value = kindRaised, event.Error
		case event.Error != nil:
			kind, value = kindCleared, event.Error
		}
		buffer = appendInteger(append(buffer, 0x95), event.Number)
		buffer = append(buffer, kind)
		buffer = appendText(buffer, event.Interface)
		buffer = appendText(buffer, event.Variable)
		buffer = appendText(buffer, value)
	}
	binary.BigEndian.PutUint32(buffer[start-4:], uint32(len(buffer)-start))
	return buffer
}

func appendInteger(buffer []byte, number uint64) []byte {
	if number < 0x80 {
		return append(buffer, byte(number))
	}
	return binary.BigEndian.AppendUint64(append(buffer, 0xcf), number)
}

func appendText[T string | json.RawMessage](buffer []byte, text T) []byte {
	if len(text) < 32 {
		buffer = append(buffer, 0xa0|byte(len(text)))
	} else {
		buffer = binary.BigEndian.AppendUint32(append(buffer, 0xdb), uint32(len(text)))
	}
	return append(buffer, text...)
}

var errEventsUnreadable = errors.New("satellite: answer of " + FunctionLinkEvents + " cannot be read")

// readEvents reads such an answer. The events' values are parts of it. Members
// behind those that are known are skipped, so that a later version may add some.
func readEvents(answer rpc.Raw) (givenUp uint64, events []Event, err error) {
	r := reader{rest: answer}
	members := r.array()
	if members < 2 {
		return 0, nil, errEventsUnreadable
	}
	givenUp = r.integer()
	r.rest = r.text()
	count := r.array()
	if r.failed {
		return 0, nil, errEventsUnreadable
	}
	events = make([]Event, 0, count)
	for range count {
		members := r.array()
		if members != 5 {
			return 0, nil, fmt.Errorf("%w: an event of %d members", errEventsUnreadable, members)
		}
		event := Event{Number: r.integer()}
		kind := r.integer()
		event.Interface, event.Variable = string(r.text()), string(r.text())
		value := json.RawMessage(r.text())
		if r.failed {
			return 0, nil, errEventsUnreadable
		}
		switch kind {
		case kindVariable:
			event.Value = value
		case kindRaised, kindCleared:
			event.Error, event.Raised = value, kind == kindRaised
		case kindActive:
			event.Active = value
		default:
			return 0, nil, fmt.Errorf("%w: an event of kind %d", errEventsUnreadable, kind)
		}
		events = append(events, event)
	}
	return givenUp, events, nil
}

// reader reads the few forms of MessagePack that the answer consists of. After
// the first failure it returns nothing any more.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(count uint64) []byte {
	if r.failed || count > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	taken := r.rest[:count:count]
	r.rest = r.rest[count:]
	return taken
}

func (r *reader) head() byte {
	if head := r.take(1); head != nil {
		return head[0]
	}
	return 0xc1
}

// number reads a big-endian number of so many bytes.
func (r *reader) number(size uint64) uint64 {
	var number uint64
	for _, b := range r.take(size) {
		number = number<<8 | uint64(b)
	}
	return number
}

func (r *reader) integer() uint64 {
	switch head := r.head(); {
	case head < 0x80:
		return uint64(head)
	case head >= 0xcc && head <= 0xcf:
		return r.number(1 << (head - 0xcc))
	}
	r.failed = true
	return 0
}

func (r *reader) array() int {
	count := uint64(0)
	switch head := r.head(); {
	case head&0xf0 == 0x90:
		count = uint64(head & 0x0f)
	case head == 0xdc:
		count = r.number(2)
	case head == 0xdd:
		count = r.number(4)
	default:
		r.failed = true
	}
	// A member is a byte at least; on 32 bits more would not even be a length.
	if count > uint64(len(r.rest)) {
		r.failed = true
	}
	if r.failed {
		return 0
	}
	return int(count)
}

func (r *reader) text() []byte {
	switch head := r.head(); {
	case head&0xe0 == 0xa0:
		return r.take(uint64(head & 0x1f))
	case head >= 0xd9 && head <= 0xdb:
		return r.take(r.number(1 << (head - 0xd9)))
	case head >= 0xc4 && head <= 0xc6:
		return r.take(r.number(1 << (head - 0xc4)))
	}
	r.failed = true
	return nil
}
