package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

const hostile = "x\x1b]0;title\x07\x1b[31m\u009b2J\u202e\nfake\tline\r"

// serveHostile serves a status socket whose every text is hostile: a satellite that was taken over decides what its
// status says.
func serveHostile(t *testing.T) (directory string) {
	t.Helper()
	directory = t.TempDir()
	status := control.Status{
		Module: hostile, ModuleID: hostile, Version: hostile, State: strings.Repeat(hostile, 10_000), Health: control.Degraded, Problem: hostile, Started: time.Now(),
		Link: &control.Link{
			Role: "controller", PeerAddress: hostile, Dialect: hostile, PeerSerial: hostile, Tunnel: []string{hostile}, TunnelDifferences: []string{hostile},
		},
	}
	behind := status
	status.Peer = &control.Peer{Status: &behind, Error: hostile}
	hub := &control.Hub{ModuleID: hostile}
	server, err := control.Listen(control.Config{
		Path:   filepath.Join(directory, "connector.sock"),
		Status: func(context.Context) (*control.Status, error) { return &status, nil },
		Ping: func(context.Context, int) (*control.Pong, error) {
			return &control.Pong{Peer: hostile, Dialect: hostile, Function: hostile}, nil
		},
		Events: hub,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	ticker := time.NewTicker(time.Millisecond)
	published := make(chan struct{})
	go func() {
		defer close(published)
		value, _ := json.Marshal("\u009b" + hostile)
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				hub.Publish(control.Event{Kind: control.KindVariable, Interface: hostile, Variable: hostile, Value: value})
				hub.Publish(control.Event{Kind: control.KindRaised, Error: json.RawMessage(`{"type":"\u001b[31m","message":"\u001b[2J\n"}`)})
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-served
		<-published
	})
	return directory
}

// What a satellite says about itself is shown, and does nothing to the terminal of who looks.
func TestNothingOfAPeerControlsTheTerminal(t *testing.T) {
	directory := serveHostile(t)
	for _, command := range [][]string{
		{"status"}, {"status", "-v"}, {"status", "--json"}, {"watch", "-n", "4"}, {"watch", "-n", "4", "--json"}, {"ping", "-c", "1"}, {"ping", "-c", "1", "--json"},
		{"watch", "nobody"},
	} {
		var out, failed bytes.Buffer
		run(t.Context(), append([]string{"--directory", directory}, command...), surroundings{out: &out, errors: &failed, getenv: func(string) string { return "" }})
		text := out.String() + failed.String()
		for _, r := range text {
			if unicode.IsControl(r) && r != '\n' || unicode.Is(unicode.Bidi_Control, r) {
				t.Errorf("%v writes %U: %.300q", command, r, text)
				break
			}
		}
		if !strings.Contains(text, "fake") {
			t.Errorf("%v shows nothing: %.300q", command, text)
		}
		if command[len(command)-1] == "--json" {
			for line := range strings.Lines(out.String()) {
				if !json.Valid([]byte(line)) {
					t.Errorf("%v writes no JSON: %.300q", command, line)
				}
			}
			continue
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "fake") || len(line) > 10_000 {
				t.Errorf("%v writes a line of the peer's: %.300q", command, line)
			}
		}
	}
}

// A module that takes a request and never answers does not hide the others.
func TestAModuleThatHangs(t *testing.T) {
	t.Parallel()
	directory := serveHostile(t)
	listener, err := net.Listen("unix", filepath.Join(directory, "hangs.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, failed bytes.Buffer
	run(ctx, []string{"--directory", directory, "status"}, surroundings{out: &out, errors: &failed, getenv: func(string) string { return "" }})
	if ctx.Err() != nil || !strings.Contains(out.String(), "fake") || !strings.Contains(out.String(), "hangs") {
		t.Errorf("%v: %.600q", ctx.Err(), out.String()+failed.String())
	}
}
