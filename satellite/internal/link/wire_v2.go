package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
)

// This file is the wire of v2, which doc/link-v2.md specifies. Boards of different releases meet on it:
// testdata/wire-v2.txt holds its bytes.

// Functions of v2.
const (
	FunctionHello  = "link_hello"
	FunctionEvents = "link_events"
	FunctionPush   = "link_push"
	FunctionCancel = "link_cancel"
	FunctionPing   = "link_ping"
	FunctionEcho   = "link_echo"
	FunctionStatus = "link_status"
	// prefixCommand precedes "<interface>.<command>".
	prefixCommand = "link_command:"
)

// commandFunction returns the function that carries a command.
func commandFunction(route, command string) string { return prefixCommand + route + "." + command }

// Versions of v2 as link_hello negotiates them.
const (
	// versionTexts has refusals as texts alone.
	versionTexts = 2
	// versionCodes has refusals as maps with a code beside the text.
	versionCodes = 3
)

// helloCall is the controller's call of link_hello.
type helloCall struct {
	versions []uint64
	// instanceID and epoch identify the controller's side of the link.
	instanceID, epoch uint64
	// heartbeatTimeout is how long either side waits for a call or a reply before the other counts as lost. keepLink is
	// how long the agent then keeps the link.
	heartbeatTimeout, keepLink time.Duration
}

func newHelloCall(instanceID, epoch uint64, timeout, keepLink time.Duration) helloCall {
	return helloCall{versions: []uint64{versionTexts, versionCodes}, instanceID: instanceID, epoch: epoch, heartbeatTimeout: timeout, keepLink: keepLink}
}

func (h helloCall) arguments() []any {
	return []any{h.versions, h.instanceID, h.epoch, h.heartbeatTimeout.Milliseconds(), h.keepLink.Milliseconds()}
}

// Bounds of the times that a controller may ask for. An agent of an older release keeps a link for 10 minutes at most.
const (
	minHeartbeatTimeout, maxHeartbeatTimeout = 200 * time.Millisecond, time.Minute
	minKeepLink, maxKeepLink                 = time.Second, 7 * 24 * time.Hour
)

// readHelloCall reads the call and brings its times within their bounds.
func readHelloCall(request *rpc.Request) (hello helloCall, err error) {
	var timeout, keepLink uint64
	err = request.Decode(&hello.versions, &hello.instanceID, &hello.epoch, &timeout, &keepLink)
	hello.heartbeatTimeout = between(minHeartbeatTimeout, timeout, maxHeartbeatTimeout)
	hello.keepLink = between(minKeepLink, keepLink, maxKeepLink)
	return hello, err
}

// version returns the highest version that both sides speak, 0 for none.
func (h helloCall) version() (best uint64) {
	for _, version := range h.versions {
		if version == versionTexts || version == versionCodes {
			best = max(best, version)
		}
	}
	return best
}

func between(least time.Duration, milliseconds uint64, most time.Duration) time.Duration {
	return max(least, time.Duration(min(milliseconds, uint64(most/time.Millisecond)))*time.Millisecond)
}

// helloAnswer is the agent's answer to link_hello.
type helloAnswer struct {
	version, instanceID uint64
	// known reports whether the agent has met this controller's epoch already.
	known bool
	// clock is the satellite's time, zero where nothing on the satellite sets it, and from an agent of an older release.
	clock time.Time
}

func (w helloAnswer) answer() []any {
	answer := []any{w.version, w.instanceID, w.known}
	if !w.clock.IsZero() {
		answer = append(answer, uint64(max(w.clock.UnixMilli(), 0)))
	}
	return answer
}

// maxClock is the last time that RFC 3339 can write, in milliseconds since 1970.
const maxClock = 253_402_300_799_999

// readHelloAnswer skips members that a later version may add.
func readHelloAnswer(answer rpc.Raw) (helloAnswer, error) {
	r := rpc.NewReader(answer)
	members := r.Array()
	if r.Err() == nil && members < 3 {
		return helloAnswer{}, fmt.Errorf("satellite: %s answered %d members, want 3", FunctionHello, members)
	}
	welcome := helloAnswer{version: r.Uint(), instanceID: r.Uint()}
	known := r.Skip()
	if members > 3 {
		welcome.clock = time.UnixMilli(int64(min(r.Uint(), maxClock))).UTC()
	}
	switch {
	case r.Err() != nil:
		return helloAnswer{}, fmt.Errorf("satellite: answer of %s cannot be read: %w", FunctionHello, r.Err())
	case welcome.version != versionTexts && welcome.version != versionCodes:
		return helloAnswer{}, fmt.Errorf("satellite: %s answered version %d, want %d or %d", FunctionHello, welcome.version, versionTexts, versionCodes)
	case welcome.instanceID == 0 || len(known) != 1 || known[0] != wireTrue && known[0] != wireFalse:
		return helloAnswer{}, fmt.Errorf("satellite: %s answered the instance id %d and a known flag of % x", FunctionHello, welcome.instanceID, []byte(known))
	}
	welcome.known = known[0] == wireTrue
	return welcome, nil
}

// Heads of MessagePack values.
const (
	wireFalse    = 0xc2
	wireTrue     = 0xc3
	wireBinary32 = 0xc6
	wireUint64   = 0xcf
	wireText32   = 0xdb
	wireArray32  = 0xdd
	wireArrayOf2 = 0x92
	wireArrayOf3 = 0x93
	wireArrayOf5 = 0x95
	// wireMembers is how many members an event has that this release writes.
	wireMembers = 5
	wireShort   = 0xa0 // or the length of a text below 32 bytes
)

// The kinds of events on the wire.
const (
	wireVariable = 0
	wireRaised   = 1
	wireCleared  = 2
	wireActive   = 3
)

// eventsQuery is the controller's call of link_events.
type eventsQuery struct {
	// after is the number of the last event received. Every event up to published is published. floor is the lowest
	// number of a command whose result is wanted.
	after, published, floor uint64
	// maxBytes bounds the events of the answer. wait bounds the time until the answer.
	maxBytes uint64
	wait     time.Duration
}

func (q eventsQuery) arguments() []any {
	return []any{q.after, q.published, q.floor, q.maxBytes, q.wait.Milliseconds()}
}

func readEventsQuery(request *rpc.Request) (query eventsQuery, err error) {
	var wait uint64
	err = request.Decode(&query.after, &query.published, &query.floor, &query.maxBytes, &wait)
	query.wait = between(0, wait, maxHeartbeatTimeout)
	return query, err
}

// appendEvents writes the answer of link_events without its last member. The events are one binary, so that a reader
// knows their length beforehand.
func appendEvents(buffer []byte, evicted uint64, events []Event) rpc.Raw {
	buffer = append(buffer, wireArrayOf3)
	buffer = appendInteger(buffer, evicted)
	buffer = append(buffer, wireBinary32, 0, 0, 0, 0)
	start := len(buffer)
	buffer = binary.BigEndian.AppendUint32(append(buffer, wireArray32), uint32(len(events)))
	for _, event := range events {
		kind := byte(wireVariable)
		switch event.Kind {
		case Raised:
			kind = wireRaised
		case Cleared:
			kind = wireCleared
		case Active:
			kind = wireActive
		}
		buffer = appendInteger(append(buffer, wireArrayOf5), event.Number)
		buffer = append(buffer, kind)
		buffer = appendText(buffer, event.Interface)
		buffer = appendText(buffer, event.Name)
		buffer = appendText(buffer, event.Value)
	}
	binary.BigEndian.PutUint32(buffer[start-4:], uint32(len(buffer)-start))
	return buffer
}

// appendHeld writes the last member of the answer: how long the agent kept the call open. The rest of the time was the
// round trip.
func appendHeld(answer rpc.Raw, held time.Duration) rpc.Raw {
	return appendInteger(answer, uint64(max(held, 0).Microseconds()))
}

func appendInteger(buffer []byte, number uint64) []byte {
	if number < 0x80 {
		return append(buffer, byte(number))
	}
	return binary.BigEndian.AppendUint64(append(buffer, wireUint64), number)
}

func appendText[T ~string | ~[]byte](buffer []byte, text T) []byte {
	if len(text) < 32 {
		buffer = append(buffer, wireShort|byte(len(text)))
	} else {
		buffer = binary.BigEndian.AppendUint32(append(buffer, wireText32), uint32(len(text)))
	}
	return append(buffer, text...)
}

// maxEncoded is how long several events may be encoded. Around its texts an event has at most 25 bytes, and the texts of
// an event have at least 8.
func maxEncoded(maxBytes uint64) uint64 { return 5*maxBytes + 4<<10 }

var (
	errEventsUnreadable = errors.New("satellite: answer of " + FunctionEvents + " cannot be read")
	errEventsTooLarge   = errors.New("satellite: answer of " + FunctionEvents + " holds more than was asked for")
)

// eventsAnswer is the agent's answer to link_events.
type eventsAnswer struct {
	// evicted counts the events that the agent's journal has evicted since its start.
	evicted uint64
	events  eventBatch
	// held is how long the agent kept the call open, negative where the agent does not report that.
	held time.Duration
}

// readEvents reads the answer to a query without decoding the events. It skips members behind those that it knows. An
// answer of more than one event that exceeds the query's bytes is an error.
func readEvents(answer rpc.Raw, query eventsQuery) (eventsAnswer, error) {
	r := rpc.NewReader(answer)
	members := r.Array()
	read := eventsAnswer{evicted: r.Uint(), held: -1}
	encoded := r.Bytes()
	if r.Err() != nil || members < 2 {
		return eventsAnswer{}, errEventsUnreadable
	}
	if members > 2 {
		held := r.Uint()
		if r.Err() != nil {
			return eventsAnswer{}, errEventsUnreadable
		}
		read.held = time.Duration(min(held, uint64(time.Hour/time.Microsecond))) * time.Microsecond
	}
	batch, count, bytes := eventBatch{last: query.after, kept: len(answer)}, 0, 0
	events := rpc.NewReader(encoded)
	for range events.Array() {
		event, err := readEvent(&events)
		if err != nil {
			return eventsAnswer{}, err
		}
		size := len(event.route) + len(event.name) + len(event.value)
		count++
		bytes += size
		if event.number > batch.last {
			batch.count++
			batch.bytes += size
			batch.last = event.number
		}
	}
	if events.Err() != nil {
		return eventsAnswer{}, errEventsUnreadable
	}
	if count > 1 && (uint64(bytes) > query.maxBytes || uint64(len(encoded)) > maxEncoded(query.maxBytes)) || count > 0 && query.maxBytes == 0 {
		return eventsAnswer{}, fmt.Errorf("%w: %d events of %d bytes, asked for %d bytes", errEventsTooLarge, count, bytes, query.maxBytes)
	}
	batch.all = func(yield func(Event) bool) { decodeEvents(encoded, query.after, yield) }
	read.events = batch
	return read, nil
}

// decodeEvents decodes events that readEvents has read. It skips events that the controller already has.
func decodeEvents(encoded []byte, after uint64, yield func(Event) bool) {
	r := rpc.NewReader(encoded)
	for range r.Array() {
		event, err := readEvent(&r)
		if err != nil {
			return // readEvents would have found it
		}
		if event.number <= after {
			continue
		}
		after = event.number
		if !yield(Event{Number: event.number, Kind: event.kind, Interface: string(event.route), Name: string(event.name), Value: event.value}) {
			return
		}
	}
}

// encodedEvent is an event whose members are slices of the answer.
type encodedEvent struct {
	number             uint64
	kind               Kind
	route, name, value []byte
}

// readEvent reads an event. Of a kind that only a later release knows it reads the number alone, and it skips members
// behind those that it knows.
func readEvent(r *rpc.Reader) (event encodedEvent, err error) {
	members := r.Array()
	event.number = r.Uint()
	event.kind = kindOf(r.Uint())
	least := wireMembers
	if event.kind == Unknown {
		least = 2
	} else {
		event.route, event.name, event.value = r.Bytes(), r.Bytes(), r.Bytes()
	}
	if r.Err() == nil && members < least {
		return event, fmt.Errorf("%w: an event of %d members", errEventsUnreadable, members)
	}
	for range members - least {
		r.Skip()
	}
	if r.Err() != nil {
		return event, errEventsUnreadable
	}
	return event, nil
}

func kindOf(wire uint64) Kind {
	switch wire {
	case wireVariable:
		return Variable
	case wireRaised:
		return Raised
	case wireCleared:
		return Cleared
	case wireActive:
		return Active
	default:
		return Unknown
	}
}

// numbered is what precedes the arguments of a command or a push.
type numbered struct {
	number, floor uint64
	// limit is how much longer the caller waits.
	limit time.Duration
}

func (n numbered) arguments(rest ...any) []any {
	return append([]any{n.number, n.floor, max(0, n.limit.Milliseconds())}, rest...)
}

// readNumbered reads a call whose own arguments go into rest.
func readNumbered(request *rpc.Request, rest ...any) (call numbered, err error) {
	var limit uint64
	err = request.Decode(append([]any{&call.number, &call.floor, &limit}, rest...)...)
	call.limit = time.Duration(min(limit, uint64(24*time.Hour/time.Millisecond))) * time.Millisecond
	return call, err
}
