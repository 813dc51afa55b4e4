package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// serveLimit ends a test that would hang. It is much longer than a module takes to appear on the page.
const serveLimit = time.Minute

// serveModule serves a status socket until the test ends or the returned function is called.
func serveModule(t *testing.T, path string, status control.Status) (end func()) {
	t.Helper()
	server, err := control.Listen(control.Config{
		Path:   path,
		Status: func(context.Context) (*control.Status, error) { return &status, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	done := false
	end = func() {
		if !done {
			done = true
			cancel()
			<-ended
		}
	}
	t.Cleanup(end)
	return end
}

// awaitLevels waits until the page shows the modules and levels in want.
func awaitLevels(t *testing.T, address, want string) {
	t.Helper()
	var got string
	for end := time.Now().Add(serveLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		response, err := http.Get(address + "status.json")
		if err != nil {
			t.Fatal(err)
		}
		var snapshot struct {
			Boards []struct {
				ModuleID string `json:"module_id"`
				Level    string `json:"level"`
			} `json:"boards"`
		}
		err = json.NewDecoder(response.Body).Decode(&snapshot)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		got = ""
		for _, board := range snapshot.Boards {
			got += board.ModuleID + " " + board.Level + "; "
		}
		if got == want {
			return
		}
	}
	t.Fatalf("the page has %q after %s, want %q", got, serveLimit, want)
}

func TestServeDirectory(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	directory := t.TempDir()
	healthy := func(id string) control.Status {
		return control.Status{Module: "SatelliteController", ModuleID: id, State: "Working", Health: control.Healthy, Link: &control.Link{Role: "controller"}}
	}
	serveModule(t, filepath.Join(directory, "connector_1.sock"), healthy("connector_1"))
	ctx, cancel := context.WithCancel(t.Context())
	output, writer := io.Pipe()
	var problems bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "-directory", directory, "-listen", "127.0.0.1:0"},
			surroundings{out: writer, errors: &problems, getenv: func(string) string { return "" }})
		writer.Close()
	}()
	address, err := bufio.NewReader(output).ReadString('\n')
	if err != nil || !strings.HasPrefix(address, "http://127.0.0.1:") {
		t.Fatalf("%q %v", address, err)
	}
	address = strings.TrimSpace(address)

	awaitLevels(t, address, "connector_1 working; ")
	end := serveModule(t, filepath.Join(directory, "connector_2.sock"), healthy("connector_2"))
	awaitLevels(t, address, "connector_1 working; connector_2 working; ")
	end()
	awaitLevels(t, address, "connector_1 working; connector_2 down; ")
	serveModule(t, filepath.Join(directory, "connector_2.sock"), healthy("connector_2"))
	awaitLevels(t, address, "connector_1 working; connector_2 working; ")

	cancel()
	select {
	case status := <-ended:
		if status != exitWell {
			t.Errorf("exit status %d: %s", status, problems.String())
		}
	case <-time.After(serveLimit):
		t.Fatal("serve does not end with its context")
	}
	if !strings.Contains(problems.String(), "connector_2") {
		t.Errorf("the log does not name the module that changed: %s", problems.String())
	}
}

func TestServeRejects(t *testing.T) {
	for arguments, want := range map[string]string{
		"serve -listen 0.0.0.0:0":          "--expose",
		"serve -listen nonsense":           "nonsense",
		"-socket /a serve /b":              "either",
		"serve -listen 127.0.0.1:99999999": "--listen",
	} {
		var problems bytes.Buffer
		status := run(t.Context(), strings.Fields(arguments), surroundings{out: io.Discard, errors: &problems, getenv: func(string) string { return "" }})
		if status == exitWell || !strings.Contains(problems.String(), want) {
			t.Errorf("satctl %s: status %d, %s; want %q in it", arguments, status, problems.String(), want)
		}
	}
}
