package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// unpack returns the files of a report by their names in its folder. It checks that the archive has nothing but files.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	files, folder := map[string]string{}, ""
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		head, name, _ := strings.Cut(header.Name, "/")
		if folder == "" {
			folder = head
		}
		if head != folder || !filepath.IsLocal(header.Name) || header.Typeflag != tar.TypeReg || header.Mode != 0o600 {
			t.Errorf("the archive has %s of type %c with mode %o", header.Name, header.Typeflag, header.Mode)
		}
		files[name] = string(content)
	}
}

// fakeModule serves a status socket until the test ends.
func fakeModule(t *testing.T, config control.Config) {
	t.Helper()
	server, err := control.Listen(config)
	if err != nil {
		t.Fatal(err)
	}
	everesttest.Run(t, filepath.Base(config.Path), server.Serve)
}

func socketDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "report") // t.TempDir's name may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	return directory
}

// secretWords have forms of secrets: each holds a word that must not be in any report.
func secretWords(word string) []string {
	key := "-----BEGIN PRIVATE KEY-----\n" + base64.StdEncoding.EncodeToString([]byte(word)) + word + "\n-----END PRIVATE KEY-----\n"
	return []string{
		key, "ftp://user:" + word + "@192.0.2.1/logs", "https://" + word + "@example.org", "Authorization: Basic " + word + "QWxhZGRpbg==",
		"Bearer " + word + ".abc", "password=" + word, `{"id_token":{"value":"` + word + `","type":"ISO14443"}}`, "token: " + word, "secret=" + word,
	}
}

// No secret gets into a report: whatever form of one is planted in each configuration key of each module, in a status and
// in the logs.
func TestBugreportHasNoSecrets(t *testing.T) {
	const word = "Hunter2Hunter2"
	installations := []install.Installation{satellite.AgentInstallation(), satellite.ControllerInstallation(), aggregator.Installation()}
	for i, planted := range append(secretWords(word), word) {
		directory := socketDirectory(t)
		keys := 0
		for _, installation := range installations {
			manifest, err := install.ParseManifest(installation.Manifest)
			if err != nil {
				t.Fatal(err)
			}
			values := map[string]json.RawMessage{}
			for name := range manifest.Config {
				values[name], _ = json.Marshal(planted)
			}
			keys += len(values)
			said := planted
			if said == word {
				said = "nothing" // the bare word has no form, and only a configuration is not to show it
			}
			fakeModule(t, control.Config{
				Path: filepath.Join(directory, installation.Module+".sock"),
				Status: func(context.Context) (*control.Status, error) {
					return &control.Status{
						Module: installation.Module, ModuleID: installation.Module, Health: control.Degraded, Problem: "seen " + said, Cause: said,
						Link: &control.Link{Role: "agent", PeerAddress: "seen " + said}, Peer: &control.Peer{Error: said},
					}, nil
				},
				Configuration: func() map[string]json.RawMessage { return maps.Clone(values) }, Manifest: installation.Manifest,
				Logs: func(context.Context) (*control.Logs, error) {
					text := "seen " + said + "\nanother line\t" + fmt.Sprintf("{\"error\": %q}\n", said)
					return &control.Logs{Name: "x.log", ContentType: "text/plain", Body: io.NopCloser(strings.NewReader(text))}, nil
				},
			})
		}
		file := filepath.Join(t.TempDir(), "report.tar.gz")
		got := satctl(t, map[string]string{"RUNTIME_DIRECTORY": directory}, "bugreport", "-o", file).expect(t, exitWell)
		files := unpack(t, file)
		if len(files) != 2+3*len(installations) || keys < 40 {
			t.Errorf("%d files, %d keys: %v", len(files), keys, slices.Sorted(maps.Keys(files)))
		}
		files["standard output"] = got.out + got.errors
		for name, content := range files {
			if at := strings.Index(content, word); at >= 0 {
				t.Errorf("form %d is in %s: ...%.200s", i, name, content[max(0, at-80):])
			}
			if strings.HasPrefix(name, "status/") && !strings.Contains(content, "seen") || strings.HasPrefix(name, "logs/") && !strings.Contains(content, "another line") {
				t.Errorf("form %d: %s lacks the rest of the text:\n%s", i, name, content)
			}
		}
	}
}

// A report tells what it holds and what it lacks, and is written whatever does not answer.
func TestBugreportOfAStationThatAnswersInPart(t *testing.T) {
	directory := socketDirectory(t)
	status := func(id string) func(context.Context) (*control.Status, error) {
		return func(context.Context) (*control.Status, error) {
			return &control.Status{Module: "SatelliteController", ModuleID: id, Version: "v1.2.3", Health: control.Healthy}, nil
		}
	}
	line := strings.Repeat("x", 999) + "\n"
	fakeModule(t, control.Config{
		Path: filepath.Join(directory, "talkative.sock"), Status: status("../../etc/passwd"),
		Manifest:      satellite.ControllerInstallation().Manifest,
		Configuration: func() map[string]json.RawMessage { return map[string]json.RawMessage{"port": json.RawMessage("4129")} },
		Logs: func(context.Context) (*control.Logs, error) {
			body := io.MultiReader(strings.NewReader(strings.Repeat(line, 5000)), strings.NewReader("the newest line\n"))
			return &control.Logs{Name: "x.log", ContentType: "text/plain", Body: io.NopCloser(body)}, nil
		},
	})
	fakeModule(t, control.Config{Path: filepath.Join(directory, "taciturn.sock"), Status: status("taciturn")})
	deadSocket(t, filepath.Join(directory, "dead.sock"))
	silent, err := net.Listen("unix", filepath.Join(directory, "silent.sock")) // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })

	t.Chdir(t.TempDir())
	before := time.Now()
	got := satctl(t, map[string]string{"RUNTIME_DIRECTORY": directory}, "bugreport", "--json").expect(t, exitWell)
	if took := time.Since(before); took > everesttest.Patience {
		t.Errorf("it took %v", took)
	}
	var told struct {
		File    string
		Bytes   int
		Missing []string
	}
	if err := json.Unmarshal([]byte(got.out), &told); err != nil {
		t.Fatalf("%v in %s", err, got.out)
	}
	files := unpack(t, told.File)
	readme := files["README.txt"]
	for _, want := range []string{"configuration/", "logs/", "status of dead: control: the module cannot be reached", "status of silent: ",
		"configuration of taciturn without secrets: this module does not tell its configuration", "newest log lines of taciturn: this module keeps no log"} {
		if !strings.Contains(readme, want) {
			t.Errorf("the README lacks %q:\n%s", want, readme)
		}
	}
	if len(told.Missing) != 4 {
		t.Errorf("missing: %q", told.Missing)
	}
	var log, configuration string
	for name, content := range files {
		if strings.HasPrefix(name, "logs/") {
			log = content
		}
		if strings.HasPrefix(name, "configuration/") {
			configuration = content
		}
	}
	if len(log) > maxReportLog || len(log) < maxReportLog/2 || !strings.HasPrefix(log, line) || !strings.HasSuffix(log, "the newest line\n") {
		t.Errorf("the log has %d bytes, from %.20q on", len(log), log)
	}
	if !strings.Contains(configuration, `"port": 4129`) {
		t.Errorf("the configuration is %s", configuration)
	}
	if !strings.Contains(files["versions.json"], "SatelliteController v1.2.3") || !strings.Contains(files["versions.json"], `"satctl"`) {
		t.Errorf("the versions are %s", files["versions.json"])
	}
	if packed, err := os.Stat(told.File); err != nil || packed.Size() != int64(told.Bytes) {
		t.Errorf("%d bytes are told, %v, %v", told.Bytes, packed, err)
	}
}

// The whole of a report is bounded, however many modules there are.
func TestBugreportIsBounded(t *testing.T) {
	var report bugreport
	line := strings.Repeat("some words ", 93) + "\n" // 1 KiB
	for i := range 40 {
		report.add(fmt.Sprintf("logs/%d.log", i), "log", bytes.Repeat([]byte(line), maxReportLog/len(line)))
	}
	if report.size > maxReport || report.size < maxReport-maxReportLog || len(report.missing) != 40-len(report.files) {
		t.Errorf("%d bytes in %d files, %d are missing", report.size, len(report.files), len(report.missing))
	}
}

// The report of a real station has what its modules are configured by.
func testBugreport(t *testing.T, s *station) {
	file := filepath.Join(t.TempDir(), "report.tar.gz")
	s.satctl(t, "bugreport", "--output", file).expect(t, exitWell)
	files := unpack(t, file)
	for name, want := range map[string]string{
		"configuration/connector_2.json":       `"link_timeout_ms"`,
		"configuration/remote_controller.json": `"listen_address": "127.0.0.1"`,
		"configuration/aggregator.json":        `"receiver"`,
		"status/connector_2.json":              `"health": "ok"`,
		"logs/connector_2.log":                 "serving the control socket",
		"README.txt":                           "satctl logs fetches them",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s lacks %s:\n%.2000s", name, want, files[name])
		}
	}
}
