package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// wholeStation is far more than a station takes on a busy machine.
const wholeStation = 3 * time.Minute

// collectView keeps the lines.
type collectView struct {
	t     *testing.T
	lines []string
	// saw is called with every line, in the station's goroutine.
	saw func(line string)
}

func (v *collectView) Line(text string) {
	v.t.Log(text)
	v.lines = append(v.lines, text)
	if v.saw != nil {
		v.saw(text)
	}
}
func (v *collectView) Update(Snapshot) {}
func (v *collectView) Close()          {}

func (v *collectView) contains(part string) bool {
	return strings.Contains(strings.Join(v.lines, "\n"), part)
}

// play runs a station of boards in processes of their own.
func play(t *testing.T, view *collectView, flags Flags) (summary string, err error) {
	t.Helper()
	flags.Once = true
	if flags.LogLevel == "" {
		flags.LogLevel = "error"
	}
	if err := flags.check(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), wholeStation)
	defer cancel()
	var output bytes.Buffer
	err = runStation(ctx, flags, view, &output)
	t.Log(output.String())
	return output.String(), err
}

func checkPlayed(t *testing.T, summary string, err error, satellites int) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for number := 1; number <= satellites; number++ {
		row := tableRow(summary, satelliteName(number))
		if !strings.Contains(row, " 290/290 ") || strings.Count(row, " 7/7 ") != 2 {
			t.Errorf("the summary of satellite %d is %q, want 290 variables, 7 errors raised and 7 cleared", number, row)
		}
	}
	if !strings.Contains(summary, "arrived in order and unchanged") {
		t.Error("the summary does not say that nothing is missing")
	}
}

func tableRow(summary, name string) string {
	for line := range strings.Lines(summary) {
		if strings.HasPrefix(line, name+" ") {
			return line
		}
	}
	return ""
}

func TestStationOnEmbeddedBrokers(t *testing.T) {
	t.Parallel()
	view := &collectView{t: t}
	summary, err := play(t, view, Flags{Satellites: 1, Speed: 20})
	checkPlayed(t, summary, err, 1)
	if !view.contains("first variable was relayed") {
		t.Error("the view does not say when the first variable was relayed")
	}
}

func TestStationOnMosquitto(t *testing.T) {
	t.Parallel()
	main := everesttest.NewMosquitto(t, everesttest.MosquittoConfig{})
	both := everesttest.NewMosquitto(t, everesttest.MosquittoConfig{})
	// Two satellites on one broker need prefixes of their own.
	summary, err := play(t, &collectView{t: t}, Flags{
		Satellites: 2, Speed: 20, BrokerMain: main.String(), BrokerSatellite: []string{both.String()},
	})
	checkPlayed(t, summary, err, 2)
}

func TestKilledSatelliteComesBack(t *testing.T) {
	t.Parallel()
	view := &collectView{t: t}
	summary, err := play(t, view, Flags{Satellites: 2, Speed: 10, Kill: []Kill{{Board: "satellite1", At: 5 * time.Second}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"killing satellite1", "satellite1 ended: signal: killed", "main ended", "satellite2 ended", "starting satellite1 again", "starting main again"} {
		if !view.contains(want) {
			t.Errorf("the view does not say %q", want)
		}
	}
	for _, want := range []string{"1 of 2 rounds", "lost with boards that ended", "arrived in order and unchanged"} {
		if !strings.Contains(summary, want) {
			t.Errorf("the summary does not say %q", want)
		}
	}
}

func TestKilledMainBoardComesBack(t *testing.T) {
	t.Parallel()
	view := &collectView{t: t}
	summary, err := play(t, view, Flags{Satellites: 1, Speed: 10, Kill: []Kill{{Board: "main", At: 5 * time.Second}}})
	if err != nil {
		t.Fatal(err)
	}
	if !view.contains("main ended: signal: killed") || !view.contains("satellite1 ended") || !strings.Contains(summary, "1 of 2 rounds") {
		t.Error("main board and satellite did not restart and meet again")
	}
}

// A variable that the charge port did not publish appears on its broker: the
// ledger does not balance.
func TestForgedVariableIsFound(t *testing.T) {
	t.Parallel()
	broker := everesttest.NewBroker(t)
	view := &collectView{t: t}
	view.saw = func(line string) {
		if strings.HasPrefix(line, "the first variable") {
			forge(t, broker)
		}
	}
	summary, err := play(t, view, Flags{Satellites: 1, Speed: 10, BrokerSatellite: []string{broker.String()}})
	if !errors.Is(err, errUnbalanced) {
		t.Errorf("error %v, want %v", err, errUnbalanced)
	}
	if want := "satellite1: variables: 1 changed on the way, twice, or never sent: evse_id"; !strings.Contains(summary, want) {
		t.Errorf("the summary does not say %q", want)
	}
}

func forge(t *testing.T, broker everest.Broker) {
	client := everesttest.NewRecorder(t, broker)
	err := client.Publish(t.Context(), everesttest.Message{
		Topic: "everest/modules/connector/impl/evse/var/evse_id", Payload: []byte(`{"msg_type":"Var","data":{"data":"forged"}}`), QoS: 2,
	})
	if err != nil {
		t.Error(err)
	}
}

func TestBoardThatCannotStartIsNamed(t *testing.T) {
	t.Parallel()
	view := &collectView{t: t}
	_, err := play(t, view, Flags{Satellites: 1, Speed: 20, BrokerMain: "unix:///no/such/socket"})
	if err == nil || !strings.Contains(err.Error(), "main does not become ready") || !strings.Contains(err.Error(), "/no/such/socket") {
		t.Errorf("error %v, want one that names the board and its broker", err)
	}
}

func TestStopIsNoSuccessOfOnce(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), wholeStation)
	defer cancel()
	view := &collectView{t: t}
	view.saw = func(line string) {
		if strings.HasPrefix(line, "the first variable") {
			cancel()
		}
	}
	flags := Flags{Satellites: 1, Speed: 1, Once: true, LogLevel: "error"}
	var output bytes.Buffer
	if err := runStation(ctx, flags, view, &output); !errors.Is(err, errInterrupted) {
		t.Errorf("error %v, want %v", err, errInterrupted)
	}
	flags.Kill = []Kill{{Board: "main", At: time.Hour}}
	if err := runStation(t.Context(), flags, view, &output); err == nil || !strings.Contains(err.Error(), "before their end") {
		t.Errorf("error %v, want one about the time of -kill", err)
	}
}

func TestBoardNeedsItsStation(t *testing.T) {
	for _, input := range []string{"", "{}", "no JSON"} {
		err := RunBoard(t.Context(), strings.NewReader(input), new(bytes.Buffer), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), "-board") {
			t.Errorf("input %q: error %v", input, err)
		}
	}
}

func TestAnswersFitTheInterfaces(t *testing.T) {
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	board, err := newSatelliteBoard(BoardConfig{Satellite: 1}, known, NewReporter(new(bytes.Buffer)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"evse_manager", "energy", "uk_random_delay", "dc_external_derate", "system", "auth"} {
		definition, ok := board.definitions.Interface(name)
		if !ok {
			t.Fatalf("interface %s is not defined", name)
		}
		for _, command := range definition.Commands {
			answer := board.portAnswer(command, nil)
			if err := board.definitions.CheckResult(name, command.Name, answer); err != nil {
				t.Errorf("%s.%s answers %s: %v", name, command.Name, answer, err)
			}
		}
	}
	getEVSE := &schema.Command{Name: "get_evse"}
	if got := string(board.portAnswer(getEVSE, nil)); got != `{"connectors":[{"id":1,"type":"Unknown"}],"id":2}` {
		t.Errorf("get_evse answers %s, not as recorded", got)
	}
	var arguments map[string]json.RawMessage
	if err := json.Unmarshal(enableDisable("Disable"), &arguments); err != nil {
		t.Fatal(err)
	}
	if err := board.definitions.CheckArguments("evse_manager", "enable_disable", arguments); err != nil {
		t.Error(err)
	}
}
