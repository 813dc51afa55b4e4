package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

// wholeStation is far more than a station takes on a busy machine.
const wholeStation = 3 * time.Minute

// output collects what the station writes.
type output struct {
	t    *testing.T
	text bytes.Buffer
	// saw is called with each line, in the station's goroutine.
	saw func(line string)
}

func (o *output) Write(text []byte) (int, error) {
	o.t.Log(strings.TrimRight(string(text), "\n"))
	if o.saw != nil {
		o.saw(string(text))
	}
	return o.text.Write(text)
}

// play runs a station of boards in processes of their own, and returns what it
// writes.
func play(t *testing.T, flags Flags, saw func(line string)) (written string, err error) {
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
	to := &output{t: t, saw: saw}
	play, err := wholePlay(flags)
	if err != nil {
		t.Fatal(err)
	}
	err = runStation(ctx, flags, play, noSockets, terminal.New(to, false))
	return to.text.String(), err
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

// tableRow returns the row of a table at the end of the output.
func tableRow(written, name string) (row string) {
	for line := range strings.Lines(written) {
		if strings.HasPrefix(line, name+" ") {
			row = line
		}
	}
	return row
}

func TestStationOnEmbeddedBrokers(t *testing.T) {
	t.Parallel()
	summary, err := play(t, Flags{Satellites: 1, Speed: 20}, nil)
	checkPlayed(t, summary, err, 1)
	if !strings.Contains(summary, "first variable was relayed") {
		t.Error("the station does not say when the first variable was relayed")
	}
}

func TestStationOnMosquitto(t *testing.T) {
	t.Parallel()
	main := everesttest.NewMosquitto(t, everesttest.MosquittoConfig{})
	both := everesttest.NewMosquitto(t, everesttest.MosquittoConfig{})
	// Two satellites on one broker need prefixes of their own.
	summary, err := play(t, Flags{
		Satellites: 2, Speed: 20, BrokerMain: main.String(), BrokerSatellite: []string{both.String()},
	}, nil)
	checkPlayed(t, summary, err, 2)
}

func TestKilledSatelliteComesBack(t *testing.T) {
	t.Parallel()
	summary, err := play(t, Flags{Satellites: 2, Speed: 10, Kill: []Kill{{Board: "satellite1", At: 5 * time.Second}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"killing satellite1", "satellite1 ended: signal: killed", "main ended", "satellite2 ended", "starting satellite1 again", "starting main again"} {
		if !strings.Contains(summary, want) {
			t.Errorf("the station does not say %q", want)
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
	summary, err := play(t, Flags{Satellites: 1, Speed: 10, Kill: []Kill{{Board: "main", At: 5 * time.Second}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(summary, "main ended: signal: killed") || !strings.Contains(summary, "satellite1 ended") || !strings.Contains(summary, "1 of 2 rounds") {
		t.Error("main board and satellite did not restart and meet again")
	}
}

// A variable that the charge port did not publish appears on its broker: the
// ledger does not balance.
func TestForgedVariableIsFound(t *testing.T) {
	t.Parallel()
	broker := everesttest.NewBroker(t)
	summary, err := play(t, Flags{Satellites: 1, Speed: 10, BrokerSatellite: []string{broker.String()}}, func(line string) {
		if strings.HasPrefix(line, "the first variable") {
			forge(t, broker)
		}
	})
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
	_, err := play(t, Flags{Satellites: 1, Speed: 20, BrokerMain: "unix:///no/such/socket"}, nil)
	if err == nil || !strings.Contains(err.Error(), "main does not become ready") || !strings.Contains(err.Error(), "/no/such/socket") {
		t.Errorf("error %v, want one that names the board and its broker", err)
	}
}

func TestStopIsNoSuccessOfOnce(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), wholeStation)
	defer cancel()
	screen := terminal.New(&output{t: t, saw: func(line string) {
		if strings.HasPrefix(line, "the first variable") {
			cancel()
		}
	}}, false)
	flags := Flags{Satellites: 1, Speed: 1, Once: true, LogLevel: "error"}
	play, err := wholePlay(flags)
	if err != nil {
		t.Fatal(err)
	}
	if err := runStation(ctx, flags, play, noSockets, screen); !errors.Is(err, errInterrupted) {
		t.Errorf("error %v, want %v", err, errInterrupted)
	}
	flags.Kill = []Kill{{Board: "main", At: time.Hour}}
	if _, err := wholePlay(flags); err == nil || !strings.Contains(err.Error(), "before their end") {
		t.Errorf("error %v, want one about the time of -kill", err)
	}
}

func TestBoardNeedsItsStation(t *testing.T) {
	for _, input := range []string{"", "{}", "no JSON"} {
		err := runBoard(t.Context(), strings.NewReader(input), new(bytes.Buffer), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), "-board") {
			t.Errorf("input %q: error %v", input, err)
		}
	}
}
