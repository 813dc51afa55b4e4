package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// Each of these values has to be seen by whoever looks at the details.
func TestFactsHaveWhatAStatusSays(t *testing.T) {
	status := charging()
	link := status.Link
	link.PeerAddress, link.Discovery, link.Path, link.Dialect, link.Security = "10.0.0.2:4129", "found", "holes", "v2", "mutual-tls"
	link.PeerSerial, link.PeerFingerprint, link.PeersRejected = "EV-1", "AA-BB", 21
	link.Latency = &control.Latency{Last: 0.011, Median: 0.012, P99: 0.013, Samples: 14}
	link.Variables, link.Errors, link.Dropped, link.Backlog, link.GivenUp, link.Pushed = 31, 32, 33, 34, 35, 36
	link.ActiveErrors, link.Tunnel, link.TunnelDifferences = new(41), []string{"extra_x"}, []string{"extra_y is missing"}
	link.Commands, link.CommandErrors, link.Resumes, link.Isolations = 51, 52, 53, 54
	link.LastVariable, link.CertificateExpires = new(noon.Add(-time.Minute)), new(noon.Add(time.Hour))
	status.Cause = "no route"
	status.Everest = &control.Everest{Received: 61, Published: 62, Dropped: 63, Commands: 64, Calls: 65, CallsWaiting: 66, Queues: []control.Queue{{Name: "auth", Depth: 67, Oldest: 6.8}}}
	status.Peer.Status.ModuleID, status.Peer.Status.State = "remote_controller", "Greeting"
	status.Peer.Status.Link.Journal = &control.Journal{Events: 71, Bytes: 7200, MaxEvents: 142, MaxBytes: 1 << 20}
	status.Station = &control.Station{
		Boards:   []control.Board{{Index: 1, Name: "1_connector_2", Version: "v1.3.9", FirmwareStatus: "Installing", LogStatus: "Uploading", Mixed: true, MixedRequest: 81}},
		Firmware: &control.FirmwareJob{RequestID: 82, Status: "Downloading"}, Logs: []control.LogJob{{RequestID: 83, Step: "packing", Boards: 85, Done: 84}},
	}
	var text strings.Builder
	for _, fact := range Facts(status, noon) {
		text.WriteString(fact.Name + ": " + fact.Value + "\n")
	}
	for _, want := range []string{
		"SatelliteController connector_2", "v1.4.0", "ok, Working", "no route", "1 h 0 min ago", "10.0.0.2:4129", "found", "holes", "v2", "mutual-tls", "EV-1", "AA-BB", "refused: 21",
		"last 11 ms, median 12 ms, 99th percentile 13 ms of 14", "31 variables, 32 errors, 33 not published, 34 waiting; 35 given up", "36", "Active errors: 41", "extra_x", "extra_y is missing",
		"51, 52 failed", "break: 53 times", "service: 54 times", "1 min ago", noon.Add(time.Hour).Local().Format(time.DateTime),
		"61 messages received, 62 published, 63 not readable", "64 in, 65 out, 66 waiting", "Queue auth: 67 waiting, the first for 6.8 s", "remote_controller,  v1.4.0", "Greeting", "71 events, 7.0 KiB (50 % full)",
		"v1.3.9", "Installing", "Uploading", "request 81", "request 82: Downloading", "request 83: packing, 84 of 85 boards",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
	agent := Facts(&control.Status{Module: "SatelliteAgent", Link: &control.Link{Role: "agent", ListenAddress: "0.0.0.0:4129", Collected: 1, Delivered: 2, Dropped: 3, GivenUp: 4}}, noon)
	text.Reset()
	for _, fact := range agent {
		text.WriteString(fact.Name + ": " + fact.Value + "\n")
	}
	for _, want := range []string{"0.0.0.0:4129", "1 collected, 2 delivered, 3 not taken, 4 given up"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
	if nothing := Facts(&control.Status{}, noon); nothing == nil || len(nothing) > 0 {
		t.Errorf("facts of nothing: %#v", nothing)
	}
}

func TestTexts(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{Span(59 * time.Second), "59 s"}, {Span(61 * time.Second), "1 min"}, {Span(2*time.Hour + 5*time.Minute), "2 h 5 min"},
		{Span(50 * time.Hour), "2 days"}, {Seconds(0.00042), "420 µs"}, {Seconds(0.0042), "4.2 ms"}, {Seconds(0.42), "420 ms"}, {Seconds(4.2), "4.2 s"},
		{Size(1000), "1000 bytes"}, {Size(1536), "1.5 KiB"}, {Size(3 << 20), "3.0 MiB"},
		{Number(9999), "9999"}, {Number(12345), "12\u202f345"}, {Number(1234567), "1\u202f234\u202f567"},
		{Count(1, "event", "events"), "1 event"}, {Count(0, "event", "events"), "0 events"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}
