package aggregator

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/logs"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
)

// filesOf makes an archive of boards with one file each.
func filesOf(t testing.TB, contents ...[]byte) *archive {
	t.Helper()
	archive := &archive{Type: "DiagnosticsLog", RequestID: 3, Created: time.Now()}
	for i, content := range contents {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		archive.Boards = append(archive.Boards, archiveBoard{
			Name: string(rune('a' + i)), Files: []transfer.ReceivedFile{{Name: "log", Path: path, Size: int64(len(content)), Received: time.Now()}},
		})
	}
	return archive
}

func TestArchiveOfNothing(t *testing.T) {
	var packed bytes.Buffer
	archive := &archive{RequestID: logs.NoRequestID, Created: time.Now(), Boards: []archiveBoard{{Name: "a", Problems: []string{"silent"}}}}
	if err := archive.write(t.Context(), &packed); err != nil {
		t.Fatal(err)
	}
	packedFiles := unpack(t, packed.Bytes())
	if len(packedFiles) != 1 || !strings.Contains(packedFiles["manifest.json"], `"silent"`) || strings.Contains(packedFiles["manifest.json"], "request_id") {
		t.Errorf("%v", packedFiles)
	}
}

func TestArchiveWhenTheDiskIsFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	if err := filesOf(t, make([]byte, 1<<20)).write(t.Context(), full); !errors.Is(err, files.ErrDiskFull) {
		t.Errorf("%v", err)
	}
}

func TestArchiveOfFilesThatChange(t *testing.T) {
	archive := filesOf(t, []byte("0123456789"))
	archive.Boards[0].Files[0].Size = 5
	var packed bytes.Buffer
	if err := archive.write(t.Context(), &packed); err != nil {
		t.Fatal(err)
	}
	if got := unpack(t, packed.Bytes())["a/log"]; got != "01234" {
		t.Errorf("of a file that has grown %q is packed", got)
	}
	archive.Boards[0].Files[0].Size = 50
	if err := archive.write(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "shrunk") {
		t.Errorf("a file that has shrunk: %v", err)
	}
	archive.Boards[0].Files[0].Path += ".gone"
	path := filepath.Join(t.TempDir(), "archive")
	if err := archive.writeFile(t.Context(), path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a part of an archive is left")
	}
}

func TestArchiveEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if err := filesOf(t, make([]byte, 1<<20)).write(ctx, io.Discard); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
}

// TestArchiveNeedsTheSameMemoryForAnyFile packs a sparse file and looks at what was allocated.
func TestArchiveNeedsTheSameMemoryForAnyFile(t *testing.T) {
	allocated := func(size int64) uint64 {
		archive := filesOf(t, nil)
		file := &archive.Boards[0].Files[0]
		if err := os.Truncate(file.Path, size); err != nil {
			t.Fatal(err)
		}
		file.Size = size
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := archive.write(t.Context(), io.Discard); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	small, large := allocated(1<<20), allocated(24<<20)
	if large > small+1<<20 {
		t.Errorf("%d bytes are allocated for 1 MiB, %d for 24 MiB", small, large)
	}
}

func TestStateFile(t *testing.T) {
	file := stateFile{filepath.Join(t.TempDir(), "below", "state.json")}
	var state savedFirmware
	if found, err := file.load(&state); found || err != nil {
		t.Errorf("nothing saved: %t %v", found, err)
	}
	machine := firmware.NewMachine(2)
	machine.Step(firmware.Requested{RequestID: 4, Signed: true})
	machine.Step(firmware.Responded{Board: 0, Response: firmware.ResponseAccepted})
	machine.Step(firmware.Responded{Board: 1, Response: firmware.ResponseAccepted})
	saved, _ := machine.Saved()
	for range 2 {
		if err := file.save(savedFirmware{Saved: saved, firmwareTimes: firmwareTimes{Install: time.Unix(1, 0)}}); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := file.load(&state); !found || err != nil || state.RequestID != 4 || !state.Install.Equal(time.Unix(1, 0)) {
		t.Errorf("%t %v %+v", found, err, state)
	}
	entries, _ := os.ReadDir(filepath.Dir(file.path))
	if len(entries) != 1 {
		t.Errorf("beside the state there is %v", entries)
	}
	if _, err := firmware.NewMachine(3).Restore(state.Saved, false); !errors.Is(err, firmware.ErrOtherStation) {
		t.Errorf("the state of another station: %v", err)
	}
	state.Boards[0].Stage = 99
	if _, err := firmware.NewMachine(2).Restore(state.Saved, false); !errors.Is(err, firmware.ErrOtherStation) {
		t.Errorf("an impossible state: %v", err)
	}
	if err := os.WriteFile(file.path, []byte(`{"request_id": "tor`), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := file.load(&state); found || err == nil {
		t.Errorf("a damaged state: %t %v", found, err)
	}
	if found, err := file.load(&state); found || err != nil {
		t.Errorf("after a damaged state: %t %v", found, err)
	}
	if err := errors.Join(file.remove(), file.remove()); err != nil {
		t.Error(err)
	}
}
