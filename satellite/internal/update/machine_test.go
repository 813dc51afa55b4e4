package update

import (
	"math/rand/v2"
	"testing"
	"time"
)

// play plays events to a machine: "accept 7", "report 7 Installing" as functions, and waits.
type event func(m *Machine, now *time.Time)

func accept(id int64, attempts int, interval time.Duration) event {
	return func(m *Machine, now *time.Time) {
		m.Accepted(*now, Request{ID: id, Attempts: attempts, Interval: interval})
	}
}

func sign(id int64) event {
	return func(m *Machine, now *time.Time) { m.Accepted(*now, Request{ID: id, Signed: true, Attempts: 1}) }
}

func report(id int64, statuses ...string) event {
	return func(m *Machine, now *time.Time) {
		for _, status := range statuses {
			m.Reported(*now, id, status)
		}
	}
}

func wait(d time.Duration) event {
	return func(m *Machine, now *time.Time) { *now = now.Add(d); m.Passed(*now) }
}

func TestMachine(t *testing.T) {
	const (
		idle     = ""
		running  = "running"
		flashing = "flashing"
		down     = "goes down"
	)
	for _, test := range []struct {
		name   string
		events []event
		want   string
	}{
		{"no update", nil, idle},
		{"accepted", []event{accept(7, 1, 0)}, running},
		{"the only attempt fails", []event{accept(7, 1, 0), report(7, "Downloading", "DownloadFailed")}, idle},
		{"the first of two attempts fails", []event{accept(7, 2, time.Minute), report(7, "Downloading", "DownloadFailed")}, running},
		{"no second attempt", []event{accept(7, 2, time.Minute), report(7, "DownloadFailed"), wait(time.Minute + AttemptGrace)}, idle},
		{"a second attempt", []event{accept(7, 2, time.Minute), report(7, "DownloadFailed"), wait(time.Minute), report(7, "Downloading"), wait(time.Hour / 3)}, running},
		{"the second attempt fails", []event{accept(7, 2, 0), report(7, "DownloadFailed", "Downloading", "DownloadFailed")}, idle},
		{"a failure told twice is one", []event{accept(7, 2, 0), report(7, "DownloadFailed", "DownloadFailed")}, running},
		{"attempts without a number", []event{accept(7, 0, -time.Second), report(7, "DownloadFailed", "Downloading", "DownloadFailed")}, running},
		{"an interval without a number", []event{accept(7, 0, -time.Second), report(7, "DownloadFailed"), wait(defaultInterval)}, running},
		{"neither, and silence", []event{accept(7, 0, -time.Second), report(7, "DownloadFailed"), wait(defaultInterval + AttemptGrace)}, idle},
		{"a wrong signature", []event{accept(7, 3, 0), report(7, "Downloading", "Downloaded", "InvalidSignature")}, idle},
		{"the failure of another request", []event{accept(7, 1, 0), report(6, "DownloadFailed", "InvalidSignature")}, running},
		{"silent before the image", []event{accept(7, 1, 0), wait(SilenceLimit)}, idle},
		{"each report is a sign", []event{accept(7, 1, 0), wait(SilenceLimit - 1), report(7, "Downloading"), wait(SilenceLimit - 1)}, running},
		{"waiting for the permission", []event{accept(7, 1, 0), report(7, "Downloading", "Downloaded"), wait(WaitLimit)}, idle},
		{"not waiting for it", []event{accept(7, 1, 0), report(7, "Downloading", "Downloaded"), wait(WaitLimit - 1)}, running},
		{"verifying", []event{sign(7), report(7, "Downloading", "Downloaded"), wait(SilenceLimit - 1)}, running},
		{"verified", []event{sign(7), report(7, "Downloading", "Downloaded", "SignatureVerified"), wait(WaitLimit)}, idle},
		{"permitted", []event{sign(7), report(7, "SignatureVerified"), wait(WaitLimit), report(7, "Installing")}, flashing},
		{"waiting for the night", []event{accept(7, 1, 0), report(7, "DownloadScheduled"), wait(WaitLimit)}, idle},
		{"in the night the only attempt fails", []event{accept(7, 1, 0), report(7, "DownloadScheduled"), wait(WaitLimit), report(7, "Downloading", "DownloadFailed")}, idle},
		{"flashing", []event{accept(7, 1, 0), report(7, "Downloading", "Downloaded", "Installing"), wait(FlashLimit - 1)}, flashing},
		{"flashing for too long", []event{accept(7, 1, 0), report(7, "Installing"), wait(FlashLimit)}, idle},
		{"about to restart", []event{accept(7, 1, 0), report(7, "Installing", "InstallRebooting")}, flashing},
		{"installed", []event{accept(7, 1, 0), report(7, "Installing", "Installed"), wait(RestartLimit - 1)}, down},
		{"installed, and no restart", []event{accept(7, 1, 0), report(7, "Installing", "Installed"), wait(RestartLimit)}, idle},
		{"installed in the boot before", []event{report(7, "Installed")}, idle},
		{"the installation fails", []event{accept(7, 1, 0), report(7, "Installing", "InstallationFailed")}, idle},
		{"the installation fails and is tried again", []event{accept(7, 2, 0), report(7, "Installing", "InstallationFailed", "Installing")}, flashing},
		{"another one takes its place", []event{accept(7, 1, 0), accept(8, 1, 0), report(7, "DownloadFailed")}, running},
		{"the older one is flashed all the same", []event{accept(-1, 1, 0), accept(8, 1, 0), report(-1, "Installing"), report(8, "Downloading", "DownloadFailed")}, flashing},
		{"and ends", []event{accept(-1, 1, 0), accept(8, 1, 0), report(-1, "Installing"), report(8, "DownloadFailed"), report(-1, "Installed")}, down},
		{"what was rejected is flashed all the same", []event{report(9, "Downloading", "Downloaded", "Installing")}, flashing},
		{"what goes on after a restart", []event{report(9, "Downloading")}, running},
		{"it begins anew", []event{accept(7, 1, 0), report(7, "Installing", "Downloading")}, running},
		{"idle", []event{accept(7, 1, 0), report(7, "Installing"), report(-1, "Idle")}, idle},
		{"a status of a later OCPP", []event{accept(7, 1, 0), report(7, "Installing", "Polishing")}, flashing},
	} {
		t.Run(test.name, func(t *testing.T) {
			var m Machine
			now := time.Unix(1_700_000_000, 0)
			for _, event := range test.events {
				event(&m, &now)
			}
			got := idle
			switch {
			case m.Flashing():
				got = flashing
			case m.Running():
				got = running
			case m.GoesDown():
				got = down
			}
			if got != test.want {
				t.Errorf("the board is %q, want %q", got, test.want)
			}
		})
	}
}

// TestSilenceEndsEverything: whatever has happened, there is a limit, and nothing is left after it. A board that was told
// to install, and has said nothing since, is being flashed.
func TestSilenceEndsEverything(t *testing.T) {
	statuses := []string{
		"Idle", "DownloadScheduled", "Downloading", "DownloadPaused", "Downloaded", "SignatureVerified", "InstallScheduled", "InstallRebooting",
		"Installing", "Installed", "DownloadFailed", "InvalidSignature", "InstallVerificationFailed", "InstallationFailed", "Other",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var m Machine
		now := time.Unix(1_700_000_000, 0)
		flashed := map[int64]bool{}
		for range random.IntN(30) {
			id := random.Int64N(3)
			switch random.IntN(10) {
			case 0:
				m.Accepted(now, Request{ID: id, Attempts: random.IntN(4), Interval: time.Duration(random.IntN(1000)-1) * time.Second, Signed: random.IntN(2) == 0})
			case 1:
				now = now.Add(time.Duration(random.Int64N(int64(3 * time.Hour))))
				if m.Passed(now); !m.GoesDown() {
					clear(flashed)
				}
			default:
				status := statuses[random.IntN(len(statuses))]
				m.Reported(now, id, status)
				switch status {
				case "Installing", "InstallRebooting":
					clear(flashed) // a board installs one image at a time
					flashed[id] = true
				case "Idle":
					clear(flashed)
				case "Other":
				default:
					delete(flashed, id)
				}
			}
			if m.Flashing() != (len(flashed) > 0) || m.Flashing() && !m.Running() {
				t.Fatalf("flashing: %v, running: %v, want flashing: %v", m.Flashing(), m.Running(), len(flashed) > 0)
			}
			if m.GoesDown() == m.Deadline().IsZero() {
				t.Fatalf("goes down: %v, deadline %v", m.GoesDown(), m.Deadline())
			}
		}
		if m.GoesDown() {
			if limit := m.Deadline().Sub(now); limit > FlashLimit {
				t.Fatalf("the limit is %v", limit)
			}
			m.Passed(m.Deadline())
		}
		if m.GoesDown() || !m.Deadline().IsZero() {
			t.Fatal("something goes on after the limit")
		}
	}
}

func TestParseRequest(t *testing.T) {
	for text, want := range map[string]Request{
		`{}`: {Interval: -time.Second},
		`{"request_id":7,"retries":3,"retry_interval_s":60}`:                    {ID: 7, Attempts: 3, Interval: time.Minute},
		`{"request_id":-1,"retries":-3,"retry_interval_s":-60}`:                 {ID: -1},
		`{"request_id":1,"retries":"x","retry_interval_s":9000000000000000000}`: {ID: 1, Interval: maxInterval},
		`[]`: {Interval: -time.Second},
	} {
		if got := ParseRequest([]byte(text)); got != want {
			t.Errorf("%s is read as %+v, want %+v", text, got, want)
		}
	}
}
