package control

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func someStatus(context.Context) (*Status, error) { return &Status{}, nil }

// listen opens a socket in a directory whose name is not too long for one.
func listen(t *testing.T) (*Server, string) {
	t.Helper()
	path := filepath.Join(shortDirectory(t), "module.sock")
	server, err := Listen(Config{Path: path, Status: someStatus})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, path
}

func shortDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	return directory
}

func TestSocketMode(t *testing.T) {
	_, path := listen(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestSocketOfRunningProcess(t *testing.T) {
	server, path := listen(t)
	_, err := Listen(Config{Path: path, Status: someStatus})
	if !errors.Is(err, errInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file still exists: %v", err)
	}
}

func TestSocketOfEndedProcessIsReplaced(t *testing.T) {
	path := filepath.Join(shortDirectory(t), "module.sock")
	left, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	left.Close()
	client, _ := serve(t, Config{Path: path})
	if _, err := client.Status(t.Context()); err != nil {
		t.Error(err)
	}
}

// A module that ends late does not remove the socket of its successor.
func TestSocketOfSuccessorStays(t *testing.T) {
	server, path := listen(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	successor, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer successor.Close()
	for range 2 {
		server.Close()
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestInvalidPaths(t *testing.T) {
	directory := shortDirectory(t)
	file := filepath.Join(directory, "file")
	if err := os.WriteFile(file, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		file:                                     "is not a socket",
		filepath.Join(directory, "none", "sock"): "create the directory",
		filepath.Join(directory, strings.Repeat("x", 120)): "choose a shorter",
	} {
		if _, err := Listen(Config{Path: path, Status: someStatus}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: error %v, want %q", path, err, text)
		}
	}
	if content, _ := os.ReadFile(file); string(content) != "dear" {
		t.Errorf("the file is now %q", content)
	}
	if _, err := Listen(Config{Path: file}); err == nil {
		t.Error("Listen accepts a Config without Status")
	}
}

func TestPathOf(t *testing.T) {
	for _, test := range []struct{ key, module, environment, want string }{
		{"", "connector_2", "/run/charge", "/run/charge/connector_2.sock"},
		{"", "connector_2", "/run/charge:/run/other", "/run/charge/connector_2.sock"},
		{"", "connector_2", "", ""},
		{"", "../connector_2", "/run/charge", ""},
		{"none", "connector_2", "/run/charge", ""},
		{"/tmp/mine.sock", "connector_2", "/run/charge", "/tmp/mine.sock"},
	} {
		getenv := func(name string) string {
			if name != "RUNTIME_DIRECTORY" {
				t.Errorf("asked for %s", name)
			}
			return test.environment
		}
		if got := PathOf(test.key, test.module, getenv); got != test.want {
			t.Errorf("PathOf(%q, %q) with %q is %q, want %q", test.key, test.module, test.environment, got, test.want)
		}
	}
	if got := DefaultDirectory(func(string) string { return "" }); got != "/run/remotechargeport" {
		t.Errorf("default %s", got)
	}
}

func TestSockets(t *testing.T) {
	_, path := listen(t)
	directory := filepath.Dir(path)
	for _, name := range []string{"other.sock", "log.txt"} {
		if err := os.WriteFile(filepath.Join(directory, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Sockets(directory); err != nil || len(got) != 1 || got[0] != path {
		t.Errorf("sockets %v, %v", got, err)
	}
	if _, err := Sockets(filepath.Join(directory, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}
