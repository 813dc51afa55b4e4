package page

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// evseStatus returns the status of a controller whose EVSE has nothing wrong, in one of several states.
func evseStatus(number int, now time.Time) control.Status {
	status := controllerStatus(fmt.Sprintf("connector_%d", number), now.Add(-30*time.Hour))
	evse := &control.EVSE{
		Number: number, State: control.EVSEAvailable, Since: now.Add(-time.Duration(number) * 7 * time.Minute),
		Limit: &control.EVSELimit{Current: new(32.0), Phases: 3}, Power: new(0.0), Errors: []control.EVSEError{},
	}
	switch number % 4 {
	case 1, 2:
		evse.State, evse.SessionSince, evse.TokenKind = control.EVSECharging, new(evse.Since.Add(-time.Minute)), "RFID"
		evse.Power, evse.SessionEnergy = new(11040.0-float64(number)*13), new(float64(number)*830)
	case 3:
		if number%3 == 0 {
			evse.State, evse.SessionSince, evse.TokenKind = control.EVSESuspendedEV, new(evse.Since.Add(-time.Hour)), "PlugAndCharge"
			evse.SessionEnergy = new(18250.0)
		}
	}
	status.EVSE = evse
	return status
}

// evseFaults are what may be wrong with an EVSE. A nil status is a module that does not answer.
var evseFaults = map[string]struct {
	change      func(*control.Status)
	level, want string // want is in the alarm
}{
	"welded contactor": {func(s *control.Status) {
		s.EVSE.State, s.EVSE.Power = control.EVSEFaulted, new(0.0)
		s.EVSE.Errors = []control.EVSEError{
			{Type: "evse_manager/Inoperative", Severity: "High", Text: "caused by the contactor"},
			{Type: "evse_board_support/MREC17EVSEContactorFault", Severity: "High", Text: "mirror contact is closed"},
		}
	}, "down", "it may be welded: mirror contact is closed. Switch the EVSE off"},
	"dead board": {func(s *control.Status) {
		s.Health, s.State, s.Link.Connected, s.Link.Latency = control.Degraded, "OutOfService", false, nil
		s.Problem = "The satellite is lost. Its EVSE is out of service until it is back. Nothing answers at 10.0.0.12:4129: check the satellite's power, network cable and network switch, and the address in hostname."
		s.Cause = "rpc: connecting to 10.0.0.12:4129: dial tcp 10.0.0.12:4129: connect: no route to host"
		s.EVSE.LastState, s.EVSE.State, s.EVSE.OutOfService = s.EVSE.State, control.EVSEUnknown, "no link to the satellite at 10.0.0.12:4129"
		s.EVSE.Power, s.EVSE.Limit = nil, nil
	}, "down", "network cable and network switch"},
	"out of service": {func(s *control.Status) {
		s.EVSE.State, s.EVSE.DisabledBy, s.EVSE.SessionSince = control.EVSEUnavailable, "CSMS", nil
	}, "down", "the backend (CSMS) has made it inoperative"},
	"wrong trust": {func(s *control.Status) {
		s.Health, s.State, s.Link.Connected, s.Link.Latency = control.Starting, "Connecting", false, nil
		s.Problem = "The satellite has not agreed yet. The satellite does not trust this board's key. Run there: satkeys trust DIRECTORY AAAA-BBBB --serial MAIN01"
		s.Cause = "remote error: tls: bad certificate"
		s.EVSE = &control.EVSE{Number: s.EVSE.Number, State: control.EVSEUnknown, Since: s.Started}
	}, "down", "Run there: satkeys trust"},
	"dead module": {nil, "down", "No process serves its status socket"},
	"hot cable": {func(s *control.Status) {
		s.EVSE.Errors = []control.EVSEError{{Type: "evse_board_support/MREC18CableOverTempDerate", Severity: "Medium"}}
	}, "trouble", "The cable is hot"},
	"MTU hole": {func(s *control.Status) {
		s.Link.Path = "Small messages arrive, large ones do not: the network between the boards swallows long packets (MTU)."
	}, "trouble", "swallows long packets"},
	"mixed versions": {func(s *control.Status) {
		s.Peer = &control.Peer{Status: &control.Status{Module: "SatelliteAgent", Version: "v1.3.0", Health: control.Healthy}}
	}, "trouble", "Mixed versions: the other board runs v1.3.0"},
}

// setEVSEs sets controllers of so many EVSEs. Those with faults are named by their number.
func (f *fakeStation) setEVSEs(count int, now time.Time, faults map[int]string) {
	for number := 1; number <= count; number++ {
		status := evseStatus(number, now)
		id := fmt.Sprintf("/run/connector_%d.sock", number)
		if fault, wrong := faults[number]; wrong {
			if change := evseFaults[fault].change; change != nil {
				change(&status)
			} else {
				// It answers once, so that its EVSE is known.
				asked := 0
				f.set(id, func(context.Context) (*control.Status, error) {
					if asked++; asked > 1 {
						return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
					}
					return &status, nil
				})
				continue
			}
		}
		f.answer(id, status)
	}
}

const evseRows = `[...document.querySelectorAll(".evse-table tbody tr")]`

// pageShowsOneEVSE shows each kind of fault at the only EVSE of a station.
func pageShowsOneEVSE(t *testing.T, browser *chromium) {
	source, now := newFakeStation(), time.Now()
	source.setEVSEs(1, now, nil)
	station, address := serve(t, source, ServerConfig{})
	awaitBoards(t, station, 1)
	page := browser.open(t, "http://"+address+"/", 1280, 900)
	page.await(`document.getElementById("verdict-text").textContent === "The EVSE is in service" && document.getElementById("alarms").hidden`)
	page.await(evseRows + `.map((row) => row.textContent).join().includes("Charging")`)
	for name, fault := range evseFaults {
		source.setEVSEs(1, now, map[int]string{1: name})
		page.await(evseRows + `[0].dataset.level === "` + fault.level + `"`)
		if fault.want != "" {
			page.await(`document.getElementById("alarms").textContent.includes("` + fault.want + `")`)
			page.await(`document.title.startsWith("1 ")`)
		}
		page.shoot("evse-1-" + name)
	}
	source.setEVSEs(1, now, nil)
	page.await(`document.getElementById("verdict-text").textContent === "The EVSE is in service" && document.getElementById("alarms").hidden`)
	noComplaints(t, page)
}

func pageShowsFourEVSEs(t *testing.T, browser *chromium) {
	source := newFakeStation()
	source.setEVSEs(4, time.Now(), map[int]string{2: "dead board", 3: "hot cable"})
	source.answer("/run/aggregator.sock", aggregatorStatus("aggregator", time.Now().Add(-30*time.Hour)))
	station, address := serve(t, source, ServerConfig{})
	awaitBoards(t, station, 5)
	for _, look := range []struct {
		name, scheme  string
		width, height int
	}{{"wide", "light", 1440, 1000}, {"dark", "dark", 1440, 1000}, {"phone", "light", 360, 740}, {"phone-dark", "dark", 320, 640}} {
		page := browser.open(t, "about:blank", look.width, look.height)
		page.media("prefers-color-scheme", look.scheme)
		page.navigate("http://" + address + "/")
		page.await(`document.getElementById("verdict-text").textContent === "1 down, 1 in trouble"`)
		// Those that need somebody come first.
		page.await(evseRows + `.map((row) => row.querySelector("th").lastChild.textContent).join() === "2,3,1,4"`)
		page.evaluate(`document.querySelector("#alarms summary").focus()`, nil)
		page.press("Enter")
		page.await(`document.querySelector("#alarms details[open] code").textContent.includes("no route to host")`)
		if overflow := page.text(`String(document.documentElement.scrollWidth - innerWidth)`); overflow != "0" {
			t.Errorf("%s: the page is %s pixels wider than the window", look.name, overflow)
		}
		var faults []string
		page.evaluate(accessibility, &faults)
		for _, fault := range faults {
			t.Errorf("%s: %s", look.name, fault)
		}
		page.shoot("evse-4-" + look.name)
		noComplaints(t, page)
	}
}

// All EVSEs of a large station fit on one screen, with what is wrong above them.
func pageShows64EVSEs(t *testing.T, browser *chromium) {
	source := newFakeStation()
	source.setEVSEs(64, time.Now(), map[int]string{7: "welded contactor", 23: "dead board", 41: "out of service", 52: "mixed versions"})
	station, address := serve(t, source, ServerConfig{})
	awaitBoards(t, station, 64)
	page := browser.open(t, "http://"+address+"/", 1920, 1080)
	page.await(evseRows + `.length === 64 && document.getElementById("verdict-text").textContent === "3 down, 1 in trouble"`)
	page.await(evseRows + `.slice(0, 6).map((row) => row.querySelector("th").lastChild.textContent).join() === "7,23,41,52,1,2"`)
	page.shoot("evse-64")
	var bottom float64
	page.evaluate(`Math.max(...`+evseRows+`.map((row) => row.getBoundingClientRect().bottom))`, &bottom)
	if bottom > 1080 {
		t.Errorf("the last EVSE ends at %v pixels", bottom)
	}
	var clipped []string
	page.evaluate(`[...document.querySelectorAll(".evse-table :is(th, td):not(.state-cell)")].filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent)`, &clipped)
	if len(clipped) > 0 {
		t.Errorf("cells are cut off: %q", clipped)
	}
	noComplaints(t, page)
}
