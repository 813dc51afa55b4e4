package doc

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
)

var writeBackend = flag.Bool("backend.write", false, "write the rows of backend.md that name a story anew")

// shortActions are the abbreviations of backend.md.
var shortActions = map[string]string{
	"FirmwareStatusNotification": "F", "SignedFirmwareStatusNotification": "SF", "LogStatusNotification": "L",
	"DiagnosticsStatusNotification": "D", "SecurityEventNotification": "E",
}

// teller writes what a backend gets in a story, as a cell of backend.md.
type teller struct {
	version  ocppframes.Version
	module   *ocppframes.Module
	cell     []string
	group    string
	requests int64 // id of the request that has no answer yet
}

func (w *teller) add(group, status string) {
	if group != "" && group == w.group {
		w.cell[len(w.cell)-1] += ", " + status
		return
	}
	w.group = group
	w.cell = append(w.cell, strings.TrimSpace(group+" "+status))
}

var (
	requestLine = regexp.MustCompile(`^request (-?\d+) `)
	replyLine   = regexp.MustCompile(`^  (?:job \d+: )?reply (\w+)$`)
	publishLine = regexp.MustCompile(`^  publish (-?\d+) (\w+)$`)
)

func (w *teller) tell(t *testing.T, line string, logs bool) {
	t.Helper()
	if line == "the main board restarts" {
		w.module = ocppframes.New(w.version)
	}
	if found := requestLine.FindStringSubmatch(line); found != nil {
		fmt.Sscan(found[1], &w.requests)
	}
	// UpdateFirmware and GetDiagnostics of OCPP 1.6 have no status in their answer.
	if found := replyLine.FindStringSubmatch(line); found != nil && w.requests >= 0 {
		w.add("", found[1])
		if !logs {
			w.addFrames(w.module.UpdateAnswered(found[1]))
		}
	}
	found := publishLine.FindStringSubmatch(line)
	if found == nil {
		return
	}
	var id int64
	fmt.Sscan(found[1], &id)
	told := w.module.Firmware
	if logs {
		told = w.module.Logs
	}
	if w.version == ocppframes.OCPP16 && found[2] == "AcceptedCanceled" {
		found[2] = "UploadFailure" // as SystemAggregator does, see TestWordsOfTheInstalledRelease
	}
	frames, err := told(id, found[2])
	if err != nil {
		t.Error(err)
	}
	w.addFrames(frames)
}

func (w *teller) addFrames(frames []ocppframes.Frame) {
	for _, frame := range frames {
		group := shortActions[frame.Action]
		if id, has := frame.Payload["requestId"]; has {
			group += fmt.Sprint(" ", id)
		}
		status, isStatus := frame.Payload["status"].(string)
		if !isStatus {
			status = frame.Payload["type"].(string)
		}
		w.add(group+":", status)
	}
}

var (
	answerOfFrames = regexp.MustCompile(`^station: GetLogResponse (\w+)`)
	frameOfFrames  = regexp.MustCompile(`^station: (\w+) (\{.*\})$`)
)

// tellFrames reads a line of the frames that TestGetLog holds. Both versions have the same, but for an upload that another
// one replaces.
func (w *teller) tellFrames(t *testing.T, line string) {
	t.Helper()
	if found := answerOfFrames.FindStringSubmatch(line); found != nil {
		w.add("", found[1])
	}
	found := frameOfFrames.FindStringSubmatch(line)
	if found == nil {
		return
	}
	frame := ocppframes.Frame{Action: found[1]}
	if err := json.Unmarshal([]byte(found[2]), &frame.Payload); err != nil {
		t.Error(err)
	}
	w.addFrames([]ocppframes.Frame{frame})
}

// cellOf returns what a backend gets in a story of the aggregator.
func cellOf(t *testing.T, version ocppframes.Version, story string) string {
	t.Helper()
	if name, frames := strings.CutPrefix(story, "get_log/"); frames {
		content, err := os.ReadFile(filepath.Join("../aggregator/testdata/get_log", name+".txt"))
		if err != nil {
			t.Error(err)
		}
		told := &teller{}
		for line := range strings.Lines(string(content)) {
			told.tellFrames(t, strings.TrimRight(line, "\n"))
		}
		return strings.Join(told.cell, "<br>")
	}
	content, err := os.ReadFile(filepath.Join("../aggregator/internal", filepath.Dir(story), "testdata", filepath.Base(story)+".txt"))
	if err != nil {
		t.Error(err)
		return ""
	}
	told := &teller{version: version, module: ocppframes.New(version)}
	for line := range strings.Lines(string(content)) {
		told.tell(t, strings.TrimRight(line, "\n"), strings.HasPrefix(story, "logs/"))
	}
	return strings.Join(told.cell, "<br>")
}

// storyName matches a story of the aggregator, such as `firmware/TC_L_06_invalid_signature`.
var storyName = regexp.MustCompile("`((?:firmware|logs|get_log)/[\\w.]+)`")

// TestBackendGetsWhatThePageSays compares the rows of backend.md with the stories that they name.
func TestBackendGetsWhatThePageSays(t *testing.T) {
	content, err := os.ReadFile("backend.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	page := string(content)
	for line := range strings.Lines(string(content)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		story := storyName.FindStringSubmatch(cells[3])
		if story == nil {
			continue
		}
		rows++
		for column, version := range map[int]ocppframes.Version{1: ocppframes.OCPP16, 2: ocppframes.OCPP201} {
			if cells[column] == "-" {
				continue // the version has no such request
			}
			told := cellOf(t, version, story[1])
			if diff := cmp.Diff(told, cells[column]); diff != "" && !*writeBackend {
				t.Errorf("backend.md, %s, OCPP %s (-story +page). Where the story is right, run\n"+
					"	go test ./doc -run TestBackendGetsWhatThePageSays -backend.write\n%s", cells[0], version, diff)
			}
			cells[column] = told
		}
		page = strings.Replace(page, line, "| "+strings.Join(cells, " | ")+" |\n", 1)
	}
	if *writeBackend {
		if err := os.WriteFile("backend.md", []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if rows < 15 {
		t.Errorf("only %d rows name a story", rows)
	}
}

// TestTablesNameTestsThatExist holds the columns "held by" of the aggregator's pages.
func TestTablesNameTestsThatExist(t *testing.T) {
	known := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(name, "_test.go"):
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for _, found := range function.FindAllStringSubmatch(string(content), -1) {
				known[found[1]] = true
			}
		case strings.Contains(filepath.ToSlash(name), "/testdata/") && strings.HasSuffix(name, ".txt"):
			known[strings.TrimSuffix(filepath.Base(name), ".txt")] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(?:[\\w/]+: )?(Test\\w+|(?:firmware|logs|reset|get_log)/[\\w.]+)`")
	for _, page := range []string{"aggregator.md", "backend.md"} {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range named.FindAllStringSubmatch(string(content), -1) {
			if !known[found[1]] && !known[filepath.Base(found[1])] {
				t.Errorf("%s names %s, which does not exist", page, found[1])
			}
		}
	}
}
