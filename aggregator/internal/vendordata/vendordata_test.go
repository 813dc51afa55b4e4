package vendordata

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRequests(t *testing.T) {
	t.Parallel()
	const known = VendorID
	for name, test := range map[string]struct {
		access  Access
		request Request
		want    any    // the message
		status  string // of a refusal
		reason  string
	}{
		"by default":             {"", Request{known, "GetBoards", ""}, nil, "UnknownVendorId", ""},
		"none":                   {None, Request{known, "GetBoards", ""}, nil, "UnknownVendorId", ""},
		"another vendor":         {Reset, Request{"org.example", "GetBoards", ""}, nil, "UnknownVendorId", ""},
		"another message":        {Reset, Request{known, "GetWeather", ""}, nil, "UnknownMessageId", ""},
		"no message":             {Reset, Request{known, "", ""}, nil, "UnknownMessageId", ""},
		"boards":                 {Read, Request{known, "GetBoards", ""}, &GetBoards{}, "", ""},
		"boards in another case": {Read, Request{strings.ToUpper(known), "getboards", "{}"}, &GetBoards{}, "", ""},
		"boards from":            {Reset, Request{known, "GetBoards", `{"from": 40}`}, &GetBoards{From: 40}, "", ""},
		"a text of OCPP 2.0.1":   {Read, Request{known, "GetBoards", `"{\"from\": 40}"`}, &GetBoards{From: 40}, "", ""},
		"an empty text":          {Read, Request{known, "GetBoards", `""`}, &GetBoards{}, "", ""},
		"null":                   {Read, Request{known, "GetBoards", `null`}, &GetBoards{}, "", ""},
		"boards from nowhere":    {Read, Request{known, "GetBoards", `{"from": -1}`}, nil, "Rejected", "from"},
		"boards from a text":     {Read, Request{known, "GetBoards", `{"from": "1"}`}, nil, "Rejected", "from"},
		"an unknown member":      {Read, Request{known, "GetBoards", `{"form": 1}`}, nil, "Rejected", "form"},
		"no JSON":                {Read, Request{known, "GetBoards", `all`}, nil, "Rejected", "JSON"},
		"two objects":            {Read, Request{known, "GetBoards", `{}{}`}, nil, "Rejected", "more than one"},
		"a list":                 {Read, Request{known, "GetBoards", `[]`}, nil, "Rejected", "JSON"},
		"too much":               {Read, Request{known, "GetBoards", strings.Repeat(" ", 1025)}, nil, "Rejected", "1025 bytes"},
		"reset":                  {Reset, Request{known, "ResetBoard", `{"board": "2_connector_3"}`}, &ResetBoard{Board: "2_connector_3"}, "", ""},
		"reset by number":        {Reset, Request{known, "ResetBoard", `{"board": 2, "type": "Hard"}`}, &ResetBoard{Board: "2", Hard: true}, "", ""},
		"reset, read only":       {Read, Request{known, "ResetBoard", `{"board": "2"}`}, nil, "Rejected", "data_transfer"},
		"reset of nothing":       {Reset, Request{known, "ResetBoard", ``}, nil, "Rejected", "board must"},
		"reset of a list":        {Reset, Request{known, "ResetBoard", `{"board": [2]}`}, nil, "Rejected", "board must"},
		"reset somehow":          {Reset, Request{known, "ResetBoard", `{"board": "2", "type": "OnIdle"}`}, nil, "Rejected", "Soft or Hard"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, refusal := Parse(test.access, test.request)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			switch {
			case (refusal != nil) != (test.status != ""):
				t.Errorf("refused %+v", refusal)
			case refusal != nil && (refusal.Status != test.status || !strings.Contains(refusal.Data, test.reason) || (refusal.Data != "") != (test.reason != "")):
				t.Errorf("refused %+v", refusal)
			}
		})
	}
}

// TestExamplesOfThePage: the page for operators has these very messages.
func TestExamplesOfThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../doc/backend.md")
	if err != nil {
		t.Fatal(err)
	}
	since := time.Date(2026, 11, 27, 6, 2, 11, 0, time.UTC)
	lost := since.Add(3 * time.Hour)
	boards := ListBoards([]Board{
		{Index: 0, Name: "0_system", Connected: true, Since: &since, Version: "v1.4.0"},
		{Index: 1, Name: "1_connector_2", EVSE: 2, Since: &lost, Serial: "ABC123"},
		{Index: 2, Name: "2_connector_3", EVSE: 3, Connected: true, Since: &since, Serial: "ABC124", Version: "v1.4.0", FirmwareStatus: "Installed", Mixed: true, MixedRequest: 7},
	}, 0)
	for _, example := range []string{
		strings.ReplaceAll(boards.Data, "},{", "},\n {"), IsReset("1_connector_2").Data, Reject("1_connector_2 is not reset because it is away").Data,
	} {
		if !strings.Contains(string(page), example) {
			t.Errorf("the page does not have\n%s", example)
		}
	}
	if _, refusal := Parse(Reset, Request{VendorID, "ResetBoard", `{"board": "connector_2"}`}); refusal != nil || !strings.Contains(string(page), `{"board": "connector_2"}`) {
		t.Errorf("the request: %+v", refusal)
	}
}

// TestRepliesAreBounded: a backend that follows next gets every board once, and 64 satellites in one reply.
func TestRepliesAreBounded(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 27, 15, 0, 0, 0, time.UTC)
	for count, replies := range map[int]int{1: 1, 65: 1, 1001: 13} {
		var boards []Board
		for i := range count {
			boards = append(boards, Board{
				Index: i, Name: fmt.Sprintf("%d_connector_%d", i, i+1), EVSE: i + 1, Connected: true, Since: &since,
				Serial: fmt.Sprintf("SN-2026-%06d", i), Version: "v1.2.3", FirmwareStatus: "Installed", Mixed: i%2 == 1, MixedRequest: 7,
			})
		}
		seen, from, got := 0, 0, 0
		for {
			reply := ListBoards(boards, from)
			if got++; reply.Status != "Accepted" || len(reply.Data) > MaxReply || got > count {
				t.Fatalf("%d boards: %d bytes, %s", count, len(reply.Data), reply.Status)
			}
			var list struct {
				Boards []Board
				Next   int
			}
			if err := json.Unmarshal([]byte(reply.Data), &list); err != nil {
				t.Fatal(err)
			}
			for _, board := range list.Boards {
				if diff := cmp.Diff(boards[seen], board); diff != "" {
					t.Fatal(diff)
				}
				seen++
			}
			if from = list.Next; from == 0 {
				break
			}
		}
		if seen != count || got != replies {
			t.Errorf("%d boards: %d in %d replies, want %d", count, seen, got, replies)
		}
	}
	if reply := ListBoards(nil, 5); reply.Data != `{"boards":[]}` {
		t.Errorf("no boards: %+v", reply)
	}
	long := Board{Name: strings.Repeat("ü", 1<<20)}
	if reply := ListBoards([]Board{long}, 0); len(reply.Data) > 1024 || !json.Valid([]byte(reply.Data)) {
		t.Errorf("a long name: %d bytes", len(reply.Data))
	}
	if reply := Reject(strings.Repeat("\x00ü", 1<<20)); len(reply.Data) > MaxReply || !json.Valid([]byte(reply.Data)) {
		t.Errorf("a long reason: %d bytes", len(reply.Data))
	}
}

// FuzzParse: whatever a backend sends gets a message or a reply that EVerest's OCPP modules can pass on.
func FuzzParse(f *testing.F) {
	for _, data := range []string{``, `{"from":1}`, `"{}"`, `{"board":1e400}`, `{"board":{"board":{}}}`, "\xff", `[[[[`} {
		f.Add("GetBoards", data)
		f.Add("ResetBoard", data)
	}
	f.Add("ResetBoard", `{"board":"`+strings.Repeat("a", 100_000)+`"}`)
	f.Add("ResetBoard", `{`+strings.Repeat(`"board":[],`, 10_000)+`"board":1}`)
	f.Fuzz(func(t *testing.T, message, data string) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		defer func() {
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > uint64(64<<10+16*(len(message)+len(data))) {
				t.Errorf("%d bytes take %d bytes of memory", len(message)+len(data), used)
			}
		}()
		got, refusal := Parse(Reset, Request{VendorID: VendorID, MessageID: message, Data: data})
		if (got == nil) == (refusal == nil) {
			t.Fatalf("%v and %v", got, refusal)
		}
		if refusal != nil && refusal.Data != "" && (!json.Valid([]byte(refusal.Data)) || len(refusal.Data) > MaxReply) {
			t.Errorf("data %q", refusal.Data)
		}
	})
}
