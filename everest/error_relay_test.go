package everest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func relayError(ctx context.Context, p *Provided, object string, raised bool) error {
	return p.RelayError(ctx, json.RawMessage(object), raised)
}

// published returns the error objects that went out on the topic of a type, with the message type before each.
func published(t *testing.T, hub *memoryHub, errorType string) []string {
	t.Helper()
	var objects []string
	for _, payload := range hub.on("everest/modules/one/impl/main/error/" + errorType) {
		object, raise, err := testWire.ReadError("", []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		if raise {
			objects = append(objects, "raise "+string(object))
		} else {
			objects = append(objects, "clear "+string(object))
		}
	}
	return objects
}

// Every error object that a satellite sends arrives on the main board as it was: with a severity and a time that this
// release does not write, unknown keys, and its own order and spacing.
func TestRelayedErrorKeepsItsBytes(t *testing.T) {
	const (
		whole = `{"uuid":"u1", "type":"a/B","sub_type":"s","severity":"Critical","timestamp":"2026-11-22T10:32:38.363519Z","extra":{"n":1.50},` +
			`"state":"Active","origin":{"module_id":"far","implementation_id":"main","mapping":{"evse":1,"extra":true}},"message":"m","description":"d","vendor_id":"v"}`
		bare = `{"type":"a/C","origin":{"module_id":"far"},"extra":1e2}`
	)
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		main := connectMemory(t, hub, nil).Provides("main")
		relay := func(object string, raised bool) {
			t.Helper()
			if err := relayError(t.Context(), main, object, raised); err != nil {
				t.Fatal(err)
			}
		}
		cleared := strings.Replace(whole, "Active", "ClearedByReboot", 1)
		relay(whole, true)
		relay(whole, true)
		relay(cleared, false)
		relay(cleared, false)
		if diff := cmp.Diff([]string{"raise " + whole, "clear " + cleared}, published(t, hub, "a/B")); diff != "" {
			t.Errorf("a whole object (-want +got):\n%s", diff)
		}

		relay(bare, true)
		relay(bare, false)
		got := published(t, hub, "a/C")
		if len(got) != 2 {
			t.Fatalf("published %q", got)
		}
		uuid := ""
		for i, object := range got {
			if !strings.Contains(object, `"extra":1e2`) || strings.Count(object, `"type"`) != 1 {
				t.Errorf("%s: what was present is changed", object)
			}
			var keys struct {
				Description, Message, Severity, State, SubType, Timestamp, Type, UUID, VendorID *string
				Origin                                                                          map[string]string
			}
			text := strings.NewReplacer("sub_type", "subtype", "vendor_id", "vendorid").Replace(object[len("raise "):])
			if err := json.Unmarshal([]byte(text), &keys); err != nil {
				t.Fatalf("%s: %v", object, err)
			}
			for name, value := range map[string]*string{"description": keys.Description, "message": keys.Message, "severity": keys.Severity,
				"state": keys.State, "sub_type": keys.SubType, "timestamp": keys.Timestamp, "uuid": keys.UUID, "vendor_id": keys.VendorID} {
				if value == nil {
					t.Errorf("%s has no %s", object, name)
				}
			}
			if diff := cmp.Diff(map[string]string{"module_id": "far", "implementation_id": ""}, keys.Origin); diff != "" {
				t.Errorf("%s: origin (-want +got):\n%s", object, diff)
			}
			if want := []string{"Active", "ClearedByModule"}[i]; keys.State == nil || *keys.State != want {
				t.Errorf("%s: want the state %s", object, want)
			}
			if keys.UUID != nil {
				if i > 0 && *keys.UUID != uuid {
					t.Errorf("%s: the clear has another uuid than the raise, %s", object, uuid)
				}
				uuid = *keys.UUID
			}
		}
	})
}

// A null is what C++ readers cannot take: it counts as missing. A state that contradicts the event is replaced, since
// EVerest goes by it.
func TestRelayedErrorIsReadableToEVerest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		main := connectMemory(t, hub, nil).Provides("main")
		const head, tail = `{"description":"d","message":"m","origin":{"module_id":"far","implementation_id":"main"},"severity":`, `,"sub_type":"","timestamp":"2026-11-22T10:32:38.363Z","type":"a/B","uuid":"u","vendor_id":"v"}`
		if err := relayError(t.Context(), main, head+`null,"state":"ClearedByModule"`+tail, true); err != nil {
			t.Fatal(err)
		}
		// EVerest's OCPP and ErrorHistory find a cleared error by the uuid of its raise.
		if err := relayError(t.Context(), main, strings.Replace(head+`"Low","state":"Active"`+tail, `"uuid":"u"`, `"uuid":"another"`, 1), false); err != nil {
			t.Fatal(err)
		}
		want := []string{"raise " + head + `"Low","state":"Active"` + tail, "clear " + head + `"Low","state":"ClearedByModule"` + tail}
		if diff := cmp.Diff(want, published(t, hub, "a/B")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, bad := range []string{``, `[]`, `5`, `{}`, `{"type":"a/B"}`, `{"type":"a/B","origin":{}}`, `{"type":"a/B","origin":5}`, `{"type":"a","origin":{"module_id":"far"}}`,
			`{"type":"a/B","origin":{"module_id":"far"},"severity":5}`, `{"type":"a/B","origin":{"module_id":"far"}`,
			`{"type":"a/B","origin":{"module_id":"far"},"later":[1e400]}`, `{"type":"a/B","origin":{"module_id":"far","later":-1e400}}`,
			`{"type":"a/B","origin":{"module_id":"far","mapping":null}}`, `{"type":"a/B","origin":{"module_id":"far","mapping":{}}}`,
			`{"type":"a/B","origin":{"module_id":"far","mapping":{"evse":1,"connector":null}}}`} {
			if err := relayError(t.Context(), main, bad, true); err == nil {
				t.Errorf("%s was relayed", bad)
			}
		}
		if got := published(t, hub, "a/B"); len(got) > len(want) {
			t.Errorf("published %q", got[len(want):])
		}
	})
}

// A clear of everything, and a station that starts again, repeat what the satellite has sent.
func TestRelayedErrorIsRepeatedAsItWas(t *testing.T) {
	const object = `{"type":"a/B","sub_type":"s","severity":"Critical","timestamp":"2026-11-22T10:32:38.363519Z","extra":1.0,"state":"Active",` +
		`"origin":{"module_id":"far","implementation_id":"main"},"message":"m","description":"d","vendor_id":"v","uuid":"u"}`
	synctest.Test(t, func(t *testing.T) {
		hub := &memoryHub{}
		m := connectMemory(t, hub, standalone)
		main := m.Provides("main")
		running(t, m)
		if err := relayError(t.Context(), main, object, true); err != nil {
			t.Fatal(err)
		}
		hub.lose()
		time.Sleep(time.Minute)
		if err := main.ClearWhere(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		want := []string{"raise " + object, "raise " + object, "clear " + strings.Replace(object, "Active", "ClearedByModule", 1)}
		if diff := cmp.Diff(want, published(t, hub, "a/B")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := m.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}
