package link

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/rpc"
)

var someEvents = []Event{
	{Number: 1, Interface: "evse_manager", Name: "limits", Value: json.RawMessage(`{"a":1.0}`)},
	{Number: 300, Kind: Raised, Value: json.RawMessage(`{"type":"evse_manager/Inoperative"}`)},
	{Number: 1 << 40, Kind: Cleared, Value: json.RawMessage(strings.Repeat("x", 70_000))},
	{Number: 1<<40 + 1, Kind: Active, Value: json.RawMessage(`[]`)},
}

// everything is a query that any answer fits.
var everything = eventsQuery{maxBytes: 1 << 30}

func answerOf(evicted uint64, events []Event) rpc.Raw {
	return appendHeld(appendEvents(nil, evicted, events), 0)
}

// decoded returns the events of a batch.
func decoded(batch eventBatch) []Event {
	if batch.all == nil {
		return nil
	}
	return slices.Collect(batch.all)
}

func TestEventsCrossTheWire(t *testing.T) {
	for _, events := range [][]Event{nil, someEvents[:1], someEvents} {
		raw := answerOf(7, events)
		read, err := readEvents(raw, everything)
		if err != nil || read.evicted != 7 || read.events.count != len(events) {
			t.Fatalf("read %+v, %v", read, err)
		}
		if diff := cmp.Diff(events, decoded(read.events)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		// Anybody's MessagePack must read it, and be read.
		var plain []any
		if err := raw.Decode(&plain); err != nil {
			t.Fatal(err)
		}
		again, err := rpc.Encode(plain)
		if err != nil {
			t.Fatal(err)
		}
		if read, err := readEvents(again, everything); err != nil || len(decoded(read.events)) != len(events) {
			t.Errorf("encoded by another hand: %+v, %v", read, err)
		}
	}
}

func TestNewestOnlyStaysOnTheSatellite(t *testing.T) {
	event := telemetryOf("telemetry")
	event.Number = 1
	read, err := readEvents(answerOf(0, []Event{event}), everything)
	if err != nil || decoded(read.events)[0].NewestOnly {
		t.Errorf("%+v, %v", read, err)
	}
}

// An event of a kind that a later release knows costs its number, and members that a later release adds are skipped.
func TestEventsOfALaterRelease(t *testing.T) {
	later := func(number byte, rest string) string { return string([]byte{number}) + rest }
	body := "\x94" +
		"\x95" + later(1, "\x00\xa1i\xa1n\xa11") +
		"\x95" + later(2, "\x09\xa1i\xa1n\xa11") + // an unknown kind, of the same members
		"\x93" + later(3, "\xcd\x01\x00\x81\xa1a\x92\x01\xc0") + // one of other members
		"\x97" + later(4, "\x00\xa1i\xa1n\xa12\xc3\x80") // a variable with two members more
	answer := rpc.Raw("\x92\x07\xc4" + string([]byte{byte(len(body))}) + body)
	read, err := readEvents(answer, everything)
	if err != nil || read.events.count != 4 || read.events.last != 4 {
		t.Fatalf("read %+v, %v", read, err)
	}
	want := []Event{
		{Number: 1, Interface: "i", Name: "n", Value: json.RawMessage("1")}, {Number: 2, Kind: Unknown},
		{Number: 3, Kind: Unknown}, {Number: 4, Interface: "i", Name: "n", Value: json.RawMessage("2")},
	}
	if diff := cmp.Diff(want, decoded(read.events)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for _, short := range []string{"\x91\x91\x01", "\x91\x94\x01\x00\xa1i\xa1n"} {
		answer := rpc.Raw("\x92\x07\xc4" + string([]byte{byte(len(short))}) + short)
		if _, err := readEvents(answer, everything); !errors.Is(err, errEventsUnreadable) {
			t.Errorf("% x: %v", short, err)
		}
	}
}

// What the controller has already is dropped, and so is what comes out of order.
func TestOnlyNewEventsAreRead(t *testing.T) {
	events := []Event{{Number: 4, Name: "old"}, {Number: 6, Name: "six"}, {Number: 5, Name: "late"}, {Number: 6, Name: "again"}, {Number: 9, Name: "nine"}}
	query := everything
	query.after = 4
	read, err := readEvents(answerOf(0, events), query)
	if err != nil || read.events.count != 2 || read.events.bytes != len("six")+len("nine") || read.events.last != 9 {
		t.Errorf("read %+v, %v", read, err)
	}
	if got := names(decoded(read.events)); got != "six nine" {
		t.Errorf("decoded %q", got)
	}
}

// An agent that sends more than it was asked for is not one to go on with.
func TestAnAnswerThatIsTooLarge(t *testing.T) {
	for _, test := range []struct {
		maxBytes uint64
		events   []Event
		want     error
	}{
		{12, []Event{{Number: 1, Name: "abcdef"}, {Number: 2, Name: "ghijkl"}}, nil},
		{11, []Event{{Number: 1, Name: "abcdef"}, {Number: 2, Name: "ghijkl"}}, errEventsTooLarge},
		{1, []Event{{Number: 1, Name: "abcdef"}}, nil}, // one event always goes
		{0, []Event{{Number: 1, Name: "a"}}, errEventsTooLarge},
		{0, nil, nil},
		{1 << 10, make([]Event, 2000), errEventsTooLarge}, // no texts, and bytes nevertheless
	} {
		if _, err := readEvents(answerOf(0, test.events), eventsQuery{maxBytes: test.maxBytes}); !errors.Is(err, test.want) {
			t.Errorf("%d events for %d bytes: %v, want %v", len(test.events), test.maxBytes, err, test.want)
		}
	}
}

// allocated returns how many bytes a function allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// checkMemory holds what reading an answer costs to its size.
func checkMemory(t *testing.T, what string, size int, cost uint64) {
	t.Helper()
	if most := 3*uint64(size) + 16<<10; cost > most {
		t.Errorf("%s: reading %d bytes allocates %d, want at most %d", what, size, cost, most)
	}
}

// hugeAnswer is an answer of link_events with as many elements as fit.
func hugeAnswer(size int, element string) rpc.Raw {
	count := size / len(element)
	body := binary.BigEndian.AppendUint32([]byte{wireArray32}, uint32(count))
	body = append(body, strings.Repeat(element, count)...)
	answer := binary.BigEndian.AppendUint32([]byte{wireArrayOf2, 0x00, wireBinary32}, uint32(len(body)))
	return append(answer, body...)
}

func TestMemoryForEventsIsBounded(t *testing.T) {
	for name, element := range map[string]string{
		"nothing":         "\x00",
		"empty events":    "\x95\x01\x00\xa0\xa0\xa0",
		"smallest events": "\x95\x01\x00\xa1a\xa1b\xa11",
		"errors":          "\x95\x01\x01\xa0\xa0\xa2{}",
	} {
		for _, size := range []int{1 << 10, 256 << 10, 8<<20 - 64} {
			answer := hugeAnswer(size, element)
			checkMemory(t, name, len(answer), allocated(func() {
				if read, err := readEvents(answer, everything); err == nil {
					newQueue().add(read.events, nil)
				}
			}))
		}
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add([]byte(answerOf(7, someEvents[:2])))
	f.Add([]byte{0x92, 0x00, 0xc4, 0x05, 0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x92, 0x00, 0xc4, 0x07, 0x91, 0x95, 0x01, 0x09, 0xa0, 0xa0, 0xa0})
	f.Add([]byte(hugeAnswer(1<<16, "\x95\x01\x00\xa0\xa0\xa0")))
	f.Fuzz(func(t *testing.T, answer []byte) {
		var read eventsAnswer
		var err error
		checkMemory(t, "fuzzed", len(answer), allocated(func() { read, err = readEvents(answer, everything) }))
		if err != nil {
			if !errors.Is(err, errEventsUnreadable) {
				t.Errorf("error %v is not errEventsUnreadable", err)
			}
			return
		}
		events := decoded(read.events)
		if len(events) != read.events.count {
			t.Errorf("%d events were counted and %d decoded", read.events.count, len(events))
		}
		again, err := readEvents(answerOf(read.evicted, events), everything)
		if err != nil || again.evicted != read.evicted || again.events.count != len(events) {
			t.Errorf("does not survive being written: %v", err)
		}
	})
}

// How long the agent held the call is read from an answer that says so, and an
// answer that does not is as good.
func TestHeldTimeCrossesTheWire(t *testing.T) {
	older := appendEvents(nil, 7, someEvents)
	older[0] = wireArrayOf2
	if read, err := readEvents(older, everything); err != nil || read.held >= 0 {
		t.Errorf("an older agent's answer: %v, %v", read.held, err)
	}
	for _, held := range []time.Duration{0, 127 * time.Microsecond, 500 * time.Millisecond, -time.Second} {
		read, err := readEvents(appendHeld(appendEvents(nil, 7, someEvents), held), everything)
		if err != nil || read.held != max(held, 0) {
			t.Errorf("held %v arrives as %v, %v", held, read.held, err)
		}
		if read.evicted != 7 || len(decoded(read.events)) != len(someEvents) {
			t.Errorf("the events of such an answer: %+v", read)
		}
	}
	if _, err := readEvents(rpc.Raw{0x93, 0x01, 0xc4, 0x01, 0x90, 0xa1, 'x'}, everything); !errors.Is(err, errEventsUnreadable) {
		t.Errorf("a text in the place of a time: %v", err)
	}
}

// A refusal crosses as a code to a controller that knows codes, and as the sentence
// that older ones recognise to any other.
func TestRefusalsCrossTheWire(t *testing.T) {
	for _, refusal := range []refusal{notTheLink, forgotten, tooMany, cancelled} {
		coded, ok := refusal.forVersion(versionCodes).(rpc.ErrorValue)
		if !ok {
			t.Fatalf("%s crosses as %T", string(refusal), refusal.forVersion(versionCodes))
		}
		remote := &rpc.RemoteError{Value: coded.Value}
		if got := refusalOf(remote); got != refusal {
			t.Errorf("%s arrives as %q", string(refusal), string(got))
		}
		if failed := FromWireError(remote); failed.Message != refusal.Error() {
			t.Errorf("a caller gets %v, want the sentence", failed)
		}
		if text := refusal.forVersion(versionTexts); text.Error() != refusal.Error() {
			t.Errorf("an older controller gets %v", text)
		}
		want := refusal
		if refusal == cancelled {
			want = forgotten // older agents have one sentence for both
		}
		older := &rpc.RemoteError{Value: "rpclib: function 'x' (called with 4 arg(s)) threw an exception. The exception contained this information: " + refusal.Error() + "."}
		if got := refusalOf(older); got != want {
			t.Errorf("an older agent's %s arrives as %q", string(refusal), string(got))
		}
	}
	for _, other := range []error{&rpc.RemoteError{Value: "no"}, &rpc.RemoteError{Value: map[string]any{}}, errors.New(notTheLink.Error())} {
		if got := refusalOf(other); got != "" {
			t.Errorf("%v is taken for %q", other, string(got))
		}
	}
}

// An error text of the peer's is short where it is logged or given to a caller.
func TestTextsOfAPeersErrorAreShort(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	for _, value := range []any{long, map[string]any{keyErrorType: long, keyErrorMessage: long}, map[string]any{"x": long}} {
		remote := &rpc.RemoteError{Method: "f", Value: value}
		if text := remote.Error(); len(text) > 2<<10 {
			t.Errorf("the error's text has %d bytes", len(text))
		}
		failed := FromWireError(remote)
		if len(failed.Type) > maxErrorText+3 || len(failed.Message) > maxErrorText+3 || failed.Message == "" {
			t.Errorf("a caller gets %d and %d bytes", len(failed.Type), len(failed.Message))
		}
	}
}

// FuzzAnswers reads the other answers of an agent, and its errors, in bounded memory.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{wireArrayOf3, 2, 1, wireTrue})
	f.Add([]byte{wireArrayOf5, 3, 1, wireFalse, 7, 0xc0})
	f.Add([]byte(`{"interface":"auth","value":1,"var":"v"}`))
	f.Add([]byte(`{"interface":"auth","value":{"a":[]},"var":"v"} x`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		checkMemory(t, FunctionHello, len(answer), allocated(func() {
			if welcome, err := readHelloAnswer(answer); err == nil && (welcome.instanceID == 0 || welcome.clock.UnixMilli() > maxClock) {
				t.Errorf("read %+v", welcome)
			}
		}))
		checkMemory(t, FunctionPushVar, len(answer), allocated(func() {
			if event, err := readPushed(answer); err == nil && (event.Interface == "" || event.Name == "" || !json.Valid(event.Value)) {
				t.Errorf("read %+v", event)
			}
		}))
		failed := FromWireError(&rpc.RemoteError{Value: map[string]any{keyErrorType: string(answer), keyErrorMessage: string(answer)}})
		if len(failed.Type) > maxErrorText+3 || len(failed.Message) > maxErrorText+3 {
			t.Errorf("an error of %d and %d bytes", len(failed.Type), len(failed.Message))
		}
	})
}
