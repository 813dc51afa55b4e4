package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

// bugreportCommand collects what somebody needs who looks for a fault from afar.
type bugreportCommand struct {
	Output string `short:"o" placeholder:"FILE" help:"File to write; - is standard output. Default: bugreport-HOST-TIME.tar.gz in this directory."`
}

// Help is the rest of the command's help.
func (c *bugreportCommand) Help() string {
	return "The archive holds the status, the configuration and the newest log lines of each module of this board, " +
		"the status of the agents behind them, and the versions. Its README says what it holds and what is missing. " +
		"Keys, passwords and tokens are left out, as far as they have the form of one: look at it before you give it away."
}

const (
	// maxReportLog is how many bytes of a module's log are kept, the newest.
	maxReportLog = 1 << 20
	// maxReport is how many bytes the archive may hold unpacked. What does not fit is left out.
	maxReport = 32 << 20
	// reportTimeout is how long all modules together may take. What is missing then is left out.
	reportTimeout = 15 * time.Second
)

// bugreport is an archive in the making.
type bugreport struct {
	folder string
	files  []reportFile
	size   int
	// contents and missing are the lines of its README.
	contents, missing []string
}

type reportFile struct {
	name    string
	content []byte
}

// Run writes the archive, with mode 0600. It succeeds where a module does not answer: the archive says so.
func (c *bugreportCommand) Run(ctx context.Context, s *invocation) error {
	now := time.Now().UTC()
	host, _ := os.Hostname() // the default replaces a name that cannot be read
	report := bugreport{folder: "bugreport-" + fileName(cmp.Or(host, "board")) + "-" + now.Format("20060102T150405Z")}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	modules, err := s.modules(ctx, nil)
	if err != nil {
		report.miss("modules", err)
	}
	report.add("versions.json", "satctl, the system and each module", versionsOf(modules))
	parts := make([][]reportPart, len(modules))
	var reading sync.WaitGroup
	for i, m := range modules {
		reading.Go(func() { parts[i] = m.report(ctx) })
	}
	reading.Wait()
	for _, of := range parts {
		for _, part := range of {
			if part.err != nil {
				report.miss(part.what, part.err)
				continue
			}
			report.add(part.name, part.what, part.content)
		}
	}
	packed, err := report.pack(now)
	if err != nil {
		return &failure{exitNotWorking, err.Error()}
	}
	return c.write(s, &report, packed)
}

func (c *bugreportCommand) write(s *invocation, report *bugreport, packed []byte) error {
	if c.Output == "-" {
		_, err := s.raw.Write(packed)
		return err
	}
	path := cmp.Or(c.Output, report.folder+".tar.gz")
	if err := renameio.WriteFile(path, packed, 0o600, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600)); err != nil {
		return &failure{exitNotWorking, err.Error()}
	}
	if s.JSON {
		return json.NewEncoder(s.out).Encode(struct {
			File    string   `json:"file"`
			Bytes   int      `json:"bytes"`
			Missing []string `json:"missing"`
		}{path, len(packed), append([]string{}, report.missing...)})
	}
	_, err := fmt.Fprintf(s.out, "%s: %d bytes\n%s", path, len(packed), report.readme())
	return err
}

// reportPart is a file of a module, or why there is none.
type reportPart struct {
	name, what string
	content    []byte
	err        error
}

// report reads what one module tells of itself.
func (m *module) report(ctx context.Context) []reportPart {
	file := fileName(m.name) + "-" + fileName(strings.TrimSuffix(filepath.Base(m.client.Path()), ".sock"))
	if fileName(m.name) == fileName(strings.TrimSuffix(filepath.Base(m.client.Path()), ".sock")) {
		file = fileName(m.name)
	}
	status := reportPart{name: "status/" + file + ".json", what: "status of " + m.name, err: m.err}
	if m.err != nil {
		return []reportPart{status} // it answers nothing else either
	}
	status.content, status.err = json.Marshal(m.status)

	configuration := reportPart{name: "configuration/" + file + ".json", what: "configuration of " + m.name + " without secrets"}
	values, err := m.client.Configuration(ctx)
	if answer, ok := errors.AsType[*control.AnswerError](err); ok && answer.StatusCode == http.StatusNotFound {
		err = errors.New("its version " + m.status.Version + " does not tell it: update it")
	}
	if configuration.err = err; err == nil {
		configuration.content, configuration.err = json.Marshal(values)
	}

	logs := reportPart{name: "logs/" + file + ".log", what: "newest log lines of " + m.name}
	if isAggregator(m.status) {
		logs.err = errors.New("the boards' log files are too large: satctl logs fetches them")
		return []reportPart{status, configuration, logs}
	}
	newest := tail{max: maxReportLog}
	logs.err = m.client.Logs(ctx, func(string) (io.Writer, error) { return &newest, nil })
	logs.content = newest.kept
	return []reportPart{status, configuration, logs}
}

// tail keeps the newest bytes of what is written, in whole lines.
type tail struct {
	max  int
	kept []byte
}

func (t *tail) Write(text []byte) (int, error) {
	t.kept = append(t.kept, text...)
	if over := len(t.kept) - t.max; over > 0 {
		if line := bytes.IndexByte(t.kept[over:], '\n'); line >= 0 {
			over += line + 1
		}
		t.kept = bytes.Clone(t.kept[over:])
	}
	return len(text), nil
}

func versionsOf(modules []*module) []byte {
	versions := map[string]string{"satctl": everest.Version(), "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		versions["kernel"] = strings.TrimSpace(string(kernel))
	}
	for _, m := range modules {
		if m.status == nil || m.err != nil {
			continue
		}
		versions[m.name] = m.status.Module + " " + m.status.Version
		if m.status.Peer != nil && m.status.Peer.Status != nil {
			versions[m.name+", other board"] = m.status.Peer.Status.Module + " " + m.status.Peer.Status.Version
		}
	}
	text, _ := json.Marshal(versions) // texts can be encoded
	return text
}

// add adds a file without what has the form of a secret.
func (r *bugreport) add(name, what string, content []byte) {
	if r.size+len(content) > maxReport {
		r.miss(what, fmt.Errorf("the archive would hold more than %d MiB", maxReport>>20))
		return
	}
	if strings.HasSuffix(name, ".json") {
		content = control.RedactJSON(content)
	} else {
		content = []byte(control.Redact(string(content)))
	}
	r.size += len(content)
	r.files = append(r.files, reportFile{name, content})
	r.contents = append(r.contents, fmt.Sprintf("%-40s %s", name, oneLine(what)))
}

func (r *bugreport) miss(what string, err error) {
	r.missing = append(r.missing, oneLine(what+": "+err.Error()))
}

// oneLine returns a text of foreign origin as a short line without secrets.
func oneLine(text string) string {
	text = control.Redact(strings.Join(strings.Fields(text), " "))
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "..."
	}
	return text
}

// readme says what the archive holds.
func (r *bugreport) readme() string {
	text := "It holds:\n"
	for _, line := range r.contents {
		text += "  " + line + "\n"
	}
	if len(r.missing) > 0 {
		text += "It lacks:\n"
		for _, line := range r.missing {
			text += "  " + line + "\n"
		}
	}
	return text + "Keys, passwords, tokens and the credentials in URLs are replaced by [hidden], as far as they have the form of one.\n" +
		"Names of boards, addresses and serial numbers are in it. Read it before you give it away.\n"
}

// pack returns the archive, the README first.
func (r *bugreport) pack(now time.Time) ([]byte, error) {
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	readme := reportFile{"README.txt", []byte("Report of satctl " + everest.Version() + ", " + now.Format(time.RFC3339) + "\n\n" + r.readme())}
	for _, file := range append([]reportFile{readme}, r.files...) {
		header := &tar.Header{Name: r.folder + "/" + file.name, Mode: 0o600, Size: int64(len(file.content)), ModTime: now, Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(file.content); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

var notInFileNames = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// fileName returns a text of foreign origin as a part of a file's name.
func fileName(text string) string {
	name := notInFileNames.ReplaceAllString(text, "_")
	return cmp.Or(name[:min(len(name), 60)], "module")
}
