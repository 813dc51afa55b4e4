package main

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
func session() []Report {
	variable := Report{Satellite: 1, Label: "limits", Digest: "1"}
	push := Report{Satellite: 1, Label: "token_validation_status Accepted", Digest: "2"}
	command := Report{Satellite: 1, Label: "call", Name: "get_evse", Call: 1}
	of := func(report Report, kind Kind, at time.Duration) Report {
		report.Kind, report.At = kind, at.Nanoseconds()
		return report
	}
	served, answered := of(command, KindServed, 0), of(command, KindAnswered, 5*time.Millisecond)
	served.Answer, answered.Answer = "3", "3"
	reports := []Report{
		of(variable, KindPublished, time.Millisecond), of(variable, KindArrived, 3*time.Millisecond),
		of(push, KindPushed, 0), of(push, KindPushArrived, 0),
		of(command, KindCalled, time.Millisecond), served, answered,
	}
	for _, raised := range []bool{true, false} {
		for _, e := range []everest.Error{raisedError("", "a"), raisedError("s", "a"), raisedError("", "b")} {
			reports = append(reports, errorReport(KindError, 1, e, raised), errorReport(KindErrorArrived, 1, e, raised))
		}
	}
	return reports
}

func TestLedgerBalances(t *testing.T) {
	ledger := NewLedger()
	for _, report := range session() {
		ledger.Add(report)
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

// While a killed board is away, commands without a result are answered without
// being served; other answers are not excused.
func TestLedgerCountsCommandsToAKilledBoardAsLost(t *testing.T) {
	for answer, excused := range map[string]bool{Digest(json.RawMessage("null")): true, Digest(json.RawMessage("true")): false} {
		ledger := NewLedger()
		command := Report{Satellite: 1, Label: "call", Name: "enforce_limits", Call: 1, Kind: KindCalled}
		ledger.Add(command)
		command.Kind, command.Answer = KindAnswered, answer
		ledger.Add(command)
		if problems := ledger.Settle(true); (problems == nil) != excused {
			t.Errorf("answer %s: problems %v", answer, problems)
		}
		if excused && ledger.Totals(1).Lost != 1 {
			t.Errorf("lost %d, want the command", ledger.Totals(1).Lost)
		}
	}
}

// Whatever report is taken away, the ledger says so.
func TestLedgerMissesEveryReport(t *testing.T) {
	reports := session()
	for without, missing := range reports {
		ledger := NewLedger()
		for i, report := range reports {
			if i != without {
				ledger.Add(report)
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
	changed := func(kind Kind, change func(*Report)) []Report {
		reports := session()
		for i := range reports {
			if reports[i].Kind == kind {
				change(&reports[i])
				break
			}
		}
		return reports
	}
	for name, test := range map[string]struct {
		reports []Report
		want    string
	}{
		"variable changed": {changed(KindArrived, func(r *Report) { r.Digest = "x" }), "satellite1: variables: 1 of 1 missing: limits"},
		"sub type lost":    {changed(KindErrorArrived, func(r *Report) { *r = errorReport(r.Kind, 1, raisedError("other", "a"), true) }), `error evse_manager/Inoperative, sub type "other", from a/main of EVSE 2: 1 changed`},
		"another error":    {changed(KindErrorArrived, func(r *Report) { r.Digest = "x" }), `sub type "", from a/main of EVSE 2: 1 of 2 missing: raised`},
		"raise not clear":  {changed(KindErrorArrived, func(r *Report) { r.Label = "cleared" }), "missing: raised"},
		"other arguments":  {changed(KindServed, func(r *Report) { r.Digest = "x" }), "satellite1: command get_evse: 1 of 1 missing: call"},
		"other answer":     {changed(KindAnswered, func(r *Report) { r.Answer = "x" }), "satellite1: answer of get_evse: 1 of 1 missing"},
		"call failed":      {changed(KindAnswered, func(r *Report) { r.Failure = "no link" }), "1 calls failed, the last with: no link"},
		"answer to none":   {changed(KindAnswered, func(r *Report) { r.Call = 9 }), "1 calls without an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			ledger := NewLedger()
			for _, report := range test.reports {
				ledger.Add(report)
			}
			if problems := strings.Join(ledger.Settle(false), "\n"); !strings.Contains(problems, test.want) {
				t.Errorf("problems %q, want one with %q", problems, test.want)
			}
		})
	}
}

func TestLedgerCountsWhatAKilledBoardHeld(t *testing.T) {
	reports := session()
	ledger := NewLedger()
	for _, report := range reports[:1] { // published, never arrived
		ledger.Add(report)
	}
	ledger.Add(reports[4]) // called, never served
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
	if DigestArguments(arguments(`{"a":1,"b":2}`)) == DigestArguments(arguments(`{"a":2,"b":1}`)) {
		t.Error("other values, same digest")
	}
	got := []string{Label("limits", []byte(`3`)), Label("session_event", []byte(`{"event":"Authorized"}`)), Label("status", []byte(`{"status":"Accepted"}`))}
	if diff := cmp.Diff([]string{"limits", "session_event Authorized", "status Accepted"}, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}
