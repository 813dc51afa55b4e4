package ledger

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
)

func raisedError(subType, module string) everest.Error {
	return everest.Error{
		Type: "evse_manager/Inoperative", SubType: subType, UUID: "uuid-" + subType + module,
		Origin: everest.Origin{ModuleID: module, ImplementationID: "main", Mapping: &everest.Mapping{EVSE: 2}},
	}
}

// session is a small round in which nothing is missing.
func session() []Entry {
	variable := Entry{Satellite: 1, Label: "limits", Digest: "1"}
	push := Entry{Satellite: 1, Label: "token_validation_status Accepted", Digest: "2"}
	command := Entry{Satellite: 1, Label: "call", Name: "get_evse", Call: 1}
	of := func(entry Entry, kind Kind, at time.Duration) Entry {
		entry.Kind, entry.At = kind, at.Nanoseconds()
		return entry
	}
	served, answered := of(command, Served, 0), of(command, Answered, 5*time.Millisecond)
	served.Answer, answered.Answer = "3", "3"
	entries := []Entry{
		of(variable, Published, time.Millisecond), of(variable, Arrived, 3*time.Millisecond),
		of(push, Pushed, 0), of(push, PushArrived, 0),
		of(command, Called, time.Millisecond), served, answered,
	}
	for _, raised := range []bool{true, false} {
		for _, e := range []everest.Error{raisedError("", "a"), raisedError("s", "a"), raisedError("", "b")} {
			entries = append(entries, ErrorEvent(Error, 1, e, raised), ErrorEvent(ErrorArrived, 1, e, raised))
		}
	}
	return entries
}

func TestLedgerBalances(t *testing.T) {
	ledger := New()
	for _, entry := range session() {
		ledger.Add(entry)
	}
	if !ledger.Balanced() {
		t.Error("not balanced")
	}
	if problems := ledger.Settle(false); problems != nil {
		t.Errorf("problems %v", problems)
	}
	totals := ledger.Totals(1)
	if totals.Published != 1 || totals.Arrived != 1 || totals.RaisedOnMain != 3 || totals.ClearedOnMain != 3 || totals.Active() != 0 || totals.Answered != 1 {
		t.Errorf("totals %+v", totals)
	}
	if relay, trip := totals.Relay.Percentile(0.5), totals.RoundTrip.Percentile(0.5); relay != 2*time.Millisecond || trip != 4*time.Millisecond {
		t.Errorf("relay %v, round trip %v", relay, trip)
	}
}

// While a board is killed, a controller gives the last answer of get_evse itself. Without a kill nobody else may answer.
func TestARememberedAnswerNeedsAKill(t *testing.T) {
	for _, killed := range []bool{false, true} {
		ledger := New()
		for number, served := range []bool{true, false} {
			call := Entry{Satellite: 1, Name: rememberedCommand, Call: uint64(number + 1)}
			for _, kind := range []Kind{Called, Served, Answered} {
				if entry := call; kind != Served || served {
					entry.Kind, entry.Answer = kind, "an EVSE"
					ledger.Add(entry)
				}
			}
		}
		if problems := ledger.Settle(killed); (problems == nil) != killed {
			t.Errorf("killed %v: %q", killed, problems)
		}
	}
}

// While a killed board is away, commands are answered without being served, negatively where they have a result; other
// answers are not excused.
func TestLedgerCountsCommandsToAKilledBoardAsLost(t *testing.T) {
	for answer, excused := range map[string]bool{digestNull(): true, digestFalse(): true, Digest(json.RawMessage("true")): false} {
		ledger := New()
		command := Entry{Satellite: 1, Label: "call", Name: "enforce_limits", Call: 1, Kind: Called}
		ledger.Add(command)
		command.Kind, command.Answer = Answered, answer
		ledger.Add(command)
		if problems := ledger.Settle(true); (problems == nil) != excused {
			t.Errorf("answer %s: problems %v", answer, problems)
		}
		if excused && ledger.Totals(1).Lost != 1 {
			t.Errorf("lost %d, want the command", ledger.Totals(1).Lost)
		}
	}
}

// Whatever entry is taken away, the ledger says so.
func TestLedgerMissesEveryEntry(t *testing.T) {
	entries := session()
	for without, missing := range entries {
		ledger := New()
		for i, entry := range entries {
			if i != without {
				ledger.Add(entry)
			}
		}
		if ledger.Balanced() {
			t.Errorf("balanced without %+v", missing)
		}
		problems := strings.Join(ledger.Settle(false), "\n")
		if !strings.Contains(problems, "satellite1: ") {
			t.Errorf("without %+v the problems are %q", missing, problems)
		}
	}
}

func TestLedgerNamesWhatIsWrong(t *testing.T) {
	changed := func(kind Kind, change func(*Entry)) []Entry {
		entries := session()
		for i := range entries {
			if entries[i].Kind == kind {
				change(&entries[i])
				break
			}
		}
		return entries
	}
	for name, test := range map[string]struct {
		entries []Entry
		want    string
	}{
		"variable changed": {changed(Arrived, func(r *Entry) { r.Digest = "x" }), "satellite1: variables: 1 of 1 missing: limits"},
		"sub type lost":    {changed(ErrorArrived, func(r *Entry) { *r = ErrorEvent(r.Kind, 1, raisedError("other", "a"), true) }), `error evse_manager/Inoperative, sub type "other", from a/main of EVSE 2: 1 changed`},
		"another error":    {changed(ErrorArrived, func(r *Entry) { r.Digest = "x" }), `sub type "", from a/main of EVSE 2: 1 of 2 missing: raised`},
		"raise not clear":  {changed(ErrorArrived, func(r *Entry) { r.Label = "cleared" }), "missing: raised"},
		"other arguments":  {changed(Served, func(r *Entry) { r.Digest = "x" }), "satellite1: command get_evse: 1 of 1 missing: call"},
		"other answer":     {changed(Answered, func(r *Entry) { r.Answer = "x" }), "satellite1: answer of get_evse: 1 of 1 missing"},
		"call failed":      {changed(Answered, func(r *Entry) { r.Failure = "no link" }), "1 calls failed, the last with: no link"},
		"answer to none":   {changed(Answered, func(r *Entry) { r.Call = 9 }), "1 calls without an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			ledger := New()
			for _, entry := range test.entries {
				ledger.Add(entry)
			}
			if problems := strings.Join(ledger.Settle(false), "\n"); !strings.Contains(problems, test.want) {
				t.Errorf("problems %q, want one with %q", problems, test.want)
			}
		})
	}
}

func TestLedgerCountsWhatAKilledBoardHeld(t *testing.T) {
	entries := session()
	ledger := New()
	for _, entry := range entries[:1] { // published, never arrived
		ledger.Add(entry)
	}
	ledger.Add(entries[4]) // called, never served
	if problems := ledger.Settle(true); problems != nil || ledger.Totals(1).Lost != 2 {
		t.Errorf("lost %d, problems %v", ledger.Totals(1).Lost, problems)
	}
}

func TestDigest(t *testing.T) {
	same := Digest(json.RawMessage(`{"a":1.0,"b":[1,2]}`))
	for value, equal := range map[string]bool{
		`{ "a": 1.0, "b": [1, 2] }`: true,
		`{"b":[1,2],"a":1.0}`:       false,
		`{"a":1,"b":[1,2]}`:         false,
		`{"a":1.0,"b":[2,1]}`:       false,
		`{`:                         false,
	} {
		if (Digest(json.RawMessage(value)) == same) != equal {
			t.Errorf("digest of %s: equal should be %v", value, equal)
		}
	}
	arguments := func(text string) (byName map[string]json.RawMessage) {
		if err := json.Unmarshal([]byte(text), &byName); err != nil {
			t.Fatal(err)
		}
		return byName
	}
	if DigestArguments(arguments(`{"a":1,"b":2}`)) != DigestArguments(arguments(`{"b":2,"a":1}`)) {
		t.Error("arguments have no order")
	}
	if DigestArguments(arguments(`{"value":{"valid_for":10,"uuid":"a"}}`)) != DigestArguments(arguments(`{"value":{"valid_for":9,"uuid":"a"}}`)) {
		t.Error("the link counts valid_for down")
	}
	if DigestArguments(arguments(`{"a":1,"b":2}`)) == DigestArguments(arguments(`{"a":2,"b":1}`)) {
		t.Error("other values, same digest")
	}
	got := []string{label("limits", []byte(`3`)), label("session_event", []byte(`{"event":"Authorized"}`)), label("status", []byte(`{"status":"Accepted"}`))}
	if diff := cmp.Diff([]string{"limits", "session_event Authorized", "status Accepted"}, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

// limitsCall are the entries of one call of enforce_limits: called by the main
// board, served by the satellite, answered to the main board.
func limitsCall(number uint64, digest, answer string) (called, served, answered Entry) {
	called = Entry{Satellite: 1, Label: "call", Name: "enforce_limits", Call: number, Kind: Called, Digest: digest}
	served = Entry{Satellite: 1, Label: "call", Name: "enforce_limits", Kind: Served, Digest: digest, Answer: answer}
	answered = Entry{Satellite: 1, Label: "call", Name: "enforce_limits", Call: number, Kind: Answered, Answer: answer}
	return called, served, answered
}

// A call of a repeated command may be answered while the link is away, null and
// without the satellite; every other one has to arrive, and in order.
func TestLedgerOfFlappingLinks(t *testing.T) {
	null := digestNull()
	called1, served1, answered1 := limitsCall(1, "a", null)
	called2, served2, answered2 := limitsCall(2, "b", null)
	called3, served3, answered3 := limitsCall(3, "a", null)
	for name, test := range map[string]struct {
		entries  []Entry
		steady   bool
		without  int
		problems string
	}{
		"all served":               {[]Entry{called1, served1, answered1, called2, answered2, served2}, false, 0, ""},
		"one without link":         {[]Entry{called1, answered1, called2, served2, answered2}, false, 1, ""},
		"reported late":            {[]Entry{called1, answered1, called2, served2, answered2, served3, called3, answered3}, false, 1, ""},
		"the last one":             {[]Entry{called1, served1, answered1, called2, answered2}, false, 1, ""},
		"executed, answer lost":    {[]Entry{called1, served1, answered1}, false, 0, ""},
		"no answer, not served":    {[]Entry{called1, called2, served2, answered2}, false, 0, "1 calls without an answer"},
		"another answer":           {[]Entry{called1, {Satellite: 1, Label: "call", Name: "enforce_limits", Call: 1, Kind: Answered, Answer: "x"}}, false, 0, "1 of 1 missing"},
		"served in another order":  {[]Entry{called1, called2, served2, served1, answered1, answered2}, false, 0, "1 out of order"},
		"served, never called":     {[]Entry{called1, served1, served2, answered1}, false, 0, "1 changed on the way, twice, or never sent"},
		"served, answer not there": {[]Entry{called1, served1}, false, 0, "1 calls without an answer"},
		"the link is slow":         {[]Entry{called1, answered1, called2, served2, answered2}, true, 1, ""},
		"the link is steady":       {[]Entry{called1, served1, answered1, called2, answered2}, true, 0, "1 of 2 missing"},
	} {
		t.Run(name, func(t *testing.T) {
			ledger := New()
			if !test.steady {
				ledger.LinkAway(1)
			}
			for _, entry := range test.entries {
				ledger.Add(entry)
			}
			if balanced := ledger.Balanced(); balanced != (test.problems == "") {
				t.Errorf("balanced: %v", balanced)
			}
			problems := strings.Join(ledger.Settle(false), "\n")
			if (problems == "") != (test.problems == "") || !strings.Contains(problems, test.problems) {
				t.Errorf("problems %q, want %q", problems, test.problems)
			}
			if got := ledger.Totals(1).WithoutLink; got != test.without {
				t.Errorf("%d calls without a link, want %d", got, test.without)
			}
		})
	}
	other := Entry{Satellite: 1, Label: "call", Name: "reserve", Call: 1, Kind: Called}
	ledger := New()
	ledger.LinkAway(1)
	ledger.Add(other)
	other.Kind, other.Answer = Answered, null
	ledger.Add(other)
	if ledger.Balanced() || ledger.Settle(false) == nil {
		t.Error("a command that its caller does not repeat may not be missing")
	}
}
