package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

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
