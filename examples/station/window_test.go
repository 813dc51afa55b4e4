package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/scenario"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

func noSockets(int) string { return "" }

// transcript is what a station prints. It is safe for concurrent use.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (p *transcript) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(text)
}

func (p *transcript) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// The station's page has its EVSEs, and the directory that it prints has the sockets of the main board.
func TestTheStationIsLookedInto(t *testing.T) {
	flags, err := ParseFlags([]string{"-satellites", "2", "-speed", "20", "-page", "127.0.0.1:0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	play, err := wholePlay(flags)
	if err != nil {
		t.Fatal(err)
	}
	var said transcript
	screen := terminal.New(&said, false)
	window, err := openWindow(flags.Page, flags.Satellites, screen)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runStation(ctx, flags, play, window.Sockets, screen) }()
	address := regexp.MustCompile(`http://\S+/`).FindString(said.String())
	charging := func() bool {
		response, err := http.Get(address + "status.json")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		var seen struct {
			Boards []struct{ EVSE *struct{ Name, State string } }
		}
		if json.NewDecoder(response.Body).Decode(&seen) != nil {
			return false
		}
		for _, board := range seen.Boards {
			if board.EVSE == nil || board.EVSE.State == "Unknown" {
				return false
			}
		}
		return len(seen.Boards) == 2
	}
	for begin := time.Now(); !charging(); time.Sleep(100 * time.Millisecond) {
		if time.Since(begin) > 3*time.Minute {
			t.Errorf("the page does not have two EVSEs:\n%s", said.String())
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	window.Close()
	directory := regexp.MustCompile(`--directory (\S+) status\n`).FindStringSubmatch(said.String())
	if directory == nil {
		t.Fatalf("no command to paste:\n%s", said.String())
	}
	if _, err := os.Stat(directory[1]); !os.IsNotExist(err) {
		t.Errorf("%s is left behind: %v", directory[1], err)
	}
}

// A scenario shows on the page from its begin to its end, when its spectators are gone.
func TestAScenarioIsWatchedOnThePage(t *testing.T) {
	var said transcript
	screen := terminal.New(&said, false)
	window, err := openWindow("127.0.0.1:0", 2, screen)
	if err != nil {
		t.Fatal(err)
	}
	defer window.Close()
	defer http.DefaultClient.CloseIdleConnections()
	address := regexp.MustCompile(`http://\S+/`).FindString(said.String())
	// await waits for a text in what the page shows.
	await := func(when, want string) {
		var seen string
		for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			response, err := http.Get(address + "status.json")
			if err == nil {
				text, _ := io.ReadAll(response.Body)
				response.Body.Close()
				seen = string(text)
			}
			if regexp.MustCompile(want).MatchString(seen) {
				return
			}
			if time.Since(begin) > 3*time.Minute {
				t.Errorf("%s the page does not have %s, %v:\n%s", when, want, err, seen)
				return
			}
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	enter, press := io.Pipe()
	begin, end := spectators(enter, screen)
	err = scenario.Run(ctx, scenario.Config{
		Name: scenario.Firmware, Satellites: 2, Log: t.Output(), LogLevel: "error", Screen: screen, Sockets: window.Sockets,
		Begin: func(ctx context.Context) {
			go func() {
				await("before", `"3 of 3 boards connected"`)
				if _, err := press.Write([]byte("\n")); err != nil {
					t.Error(err)
				}
			}()
			begin(ctx)
		},
		End: func(ctx context.Context) {
			await("afterwards", `(?s)"Board 2, 2_connector_3",\s+"value": "connected, version \S+, firmware Installed"`)
			leave()
			end(ctx)
		},
	})
	if err != nil {
		t.Error(err)
	}
	for _, want := range []string{"press Enter", "the page stays until Ctrl-C"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the person is not told %q:\n%s", want, said.String())
		}
	}
}
