package satellite

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/rpc"
)

var someEvents = []Event{
	{Number: 1, Interface: "evse_manager", Variable: "limits", Value: json.RawMessage(`{"a":1.0}`)},
	{Number: 300, Error: json.RawMessage(`{"type":"evse_manager/Inoperative"}`), Raised: true},
	{Number: 1 << 40, Error: json.RawMessage(strings.Repeat("x", 70_000))},
	{Number: 1<<40 + 1, Active: json.RawMessage(`[]`)},
}

func TestEventsCrossTheWire(t *testing.T) {
	for _, events := range [][]Event{nil, someEvents[:1], someEvents} {
		raw := appendEvents(nil, 7, events)
		givenUp, got, err := readEvents(raw)
		if err != nil || givenUp != 7 || len(got) != len(events) {
			t.Fatalf("read %d events, %d given up, %v", len(got), givenUp, err)
		}
		for i := range events {
			if diff := cmp.Diff(events[i], got[i]); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
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
		if _, got, err := readEvents(again); err != nil || len(got) != len(events) {
			t.Errorf("encoded by another hand: %d events, %v", len(got), err)
		}
	}
}

func TestNewestOnlyStaysOnTheSatellite(t *testing.T) {
	_, got, err := readEvents(appendEvents(nil, 0, []Event{telemetryOf("telemetry")}))
	if err != nil || got[0].NewestOnly {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add([]byte(appendEvents(nil, 7, someEvents[:2])))
	f.Add([]byte{0x92, 0x00, 0xc4, 0x05, 0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x92, 0x00, 0xc4, 0x07, 0x91, 0x95, 0x01, 0x09, 0xa0, 0xa0, 0xa0})
	f.Fuzz(func(t *testing.T, answer []byte) {
		givenUp, events, err := readEvents(answer)
		if err != nil {
			if !errors.Is(err, errEventsUnreadable) {
				t.Errorf("error %v is not errEventsUnreadable", err)
			}
			return
		}
		givenUpAgain, again, err := readEvents(appendEvents(nil, givenUp, events))
		if err != nil || givenUpAgain != givenUp || len(again) != len(events) {
			t.Errorf("does not survive being written: %v", err)
		}
	})
}

// How long the agent held the call is read from an answer that says so, and an answer that does not is as good.
func TestHeldTimeCrossesTheWire(t *testing.T) {
	plain := appendEvents(nil, 7, someEvents)
	if _, told := heldOf(plain); told {
		t.Error("an older agent's answer tells the time")
	}
	for _, held := range []time.Duration{0, 127 * time.Microsecond, 500 * time.Millisecond, -time.Second} {
		answer := withHeld(appendEvents(nil, 7, someEvents), held)
		if got, told := heldOf(answer); !told || got != max(held, 0) {
			t.Errorf("held %v arrives as %v, %v", held, got, told)
		}
		givenUp, events, err := readEvents(answer)
		if err != nil || givenUp != 7 || len(events) != len(someEvents) {
			t.Errorf("the events of such an answer: %d given up, %d events, %v", givenUp, len(events), err)
		}
	}
	if _, told := heldOf(rpc.Raw{0x93, 0x01, 0xc4, 0x00, 0xa1, 'x'}); told {
		t.Error("a text is no time")
	}
}
