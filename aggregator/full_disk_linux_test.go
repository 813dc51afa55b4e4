package aggregator

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap/zapcore"
)

// smallDisk is the directory of a file system of its own with so many MiB. It is unmounted when everything that the test
// starts after it has ended.
func smallDisk(t *testing.T, mebibytes int) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may mount the small file system that this test fills")
	}
	directory := t.TempDir()
	if err := syscall.Mount("tmpfs", directory, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", mebibytes)); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the small file system that this test fills cannot be mounted; CI's root needs CAP_SYS_ADMIN: %v", err)
		}
		t.Skipf("the small file system that this test fills cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(directory, 0); err != nil {
			t.Errorf("unmount %s: %v", directory, errors.Join(err, syscall.Unmount(directory, syscall.MNT_DETACH)))
		}
	})
	return directory
}

// fill takes all space that a file system has left. free gives it back.
func fill(t *testing.T, disk string) (free func()) {
	t.Helper()
	ballast, err := os.CreateTemp(disk, "ballast")
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	piece := make([]byte, 1<<20)
	for len(piece) > 0 {
		if _, err := ballast.Write(piece); errors.Is(err, syscall.ENOSPC) {
			piece = piece[:len(piece)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(ballast.Name()); err != nil {
			t.Error(err)
		}
	}
}

// incompressible content keeps its size in an archive.
func incompressible(size int) []byte {
	content := make([]byte, size)
	rand.Read(content)
	return content
}

// held is a content of which the rest comes when it is released, or the context is over.
func held(ctx context.Context, first, rest []byte, release <-chan struct{}) io.Reader {
	return io.MultiReader(bytes.NewReader(first), waiting{ctx, release}, bytes.NewReader(rest))
}

type waiting struct {
	ctx     context.Context
	release <-chan struct{}
}

func (w waiting) Read([]byte) (int, error) {
	select {
	case <-w.release:
		return 0, io.EOF
	case <-w.ctx.Done():
		return 0, w.ctx.Err()
	}
}

// arriving is how many files below a directory have content.
func arriving(directory string) (files int) {
	filepath.WalkDir(directory, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Size() > 0 {
			files++
		}
		return nil
	})
	return files
}

// diskOfReceiver, in MiB, is more than the receiver leaves free: only with that does a file begin to arrive.
const diskOfReceiver = 80

// TestSlotOnAFullDisk: the kernel's own refusal becomes the receiver's, and nothing of the file is left or counted.
func TestSlotOnAFullDisk(t *testing.T) {
	disk := smallDisk(t, diskOfReceiver)
	receiver, err := NewReceiver(ReceiverConfig{Directory: filepath.Join(disk, "received")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { receiver.Close() })
	slot, err := receiver.Open("board 1", loopback)
	if err != nil {
		t.Fatal(err)
	}
	write := func(size int, between func()) error {
		writer, err := slot.create("/" + slot.access.token + "/logs.txt")
		if err != nil {
			return err
		}
		_, first := writer.Write([]byte("begin"))
		between()
		_, rest := writer.Write(make([]byte, size))
		return errors.Join(first, rest, writer.Close())
	}
	var free func()
	err = write(1<<20, func() { free = fill(t, disk) })
	if !errors.Is(err, errDiskFull) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the disk was filled meanwhile: %v", err)
	}
	if err := write(1, func() {}); !errors.Is(err, errDiskFull) {
		t.Errorf("the disk is full from the beginning: %v", err)
	}
	free()
	if err := write(1<<20, func() {}); err != nil {
		t.Errorf("the disk has space again: %v", err)
	}
	if complete, incomplete := names(slot, true); len(complete) != 1 || len(incomplete) != 0 {
		t.Errorf("complete %v, incomplete %v", complete, incomplete)
	}
	if want := int64(1<<20 + len("begin")); slot.Received() != want || receiver.stored != want {
		t.Errorf("%d bytes are in the slot and %d are counted, want %d", slot.Received(), receiver.stored, want)
	}
}

// TestDiskOfTheReceiverIsFull: whether it fills up while the boards send or is full before, the request fails in order,
// and the one after it works.
func TestDiskOfTheReceiverIsFull(t *testing.T) {
	for _, protocol := range []string{"ftp", "http"} {
		t.Run(protocol, func(t *testing.T) {
			disk := smallDisk(t, diskOfReceiver)
			s := newStation(t, 2, map[string]any{
				"upload_url_template":  fmt.Sprintf("%s://{my-ip}:%d/", protocol, freePort(t)),
				"incoming_uploads_dir": filepath.Join(disk, "incoming"), "outgoing_dir": filepath.Join(t.TempDir(), "outgoing"),
			})
			s.directory = disk
			sink := newSink(t)
			ask := func(id int) logsResponse {
				response := call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", map[string]any{"request_id": id}))
				if response.Status != "Accepted" {
					t.Fatalf("request %d is answered %+v", id, response)
				}
				return response
			}
			release, refused := make(chan struct{}), make(chan error, len(s.boards))
			for _, b := range s.boards {
				b.sendsHeld(t, release, refused)
			}
			ask(1)
			s.backend.expect(t, "1 Uploading")
			eventually(t, "both files have begun to arrive", func() bool { return arriving(filepath.Join(disk, "incoming")) == 2 })
			free := fill(t, disk)
			close(release)
			s.backend.expect(t, "1 UploadFailure")
			for range s.boards {
				if err := <-refused; err == nil || (protocol == "ftp" && !strings.Contains(err.Error(), "552")) {
					t.Errorf("what a board was told of the full disk: %v", err)
				}
			}
			// Now that the parts are gone there is space for small files, but not as much as is to stay free.
			for _, b := range s.boards {
				b.sendsFile(t, "logs.txt", []byte("content"))
			}
			ask(2)
			s.backend.expect(t, "2 Uploading", "2 UploadFailure")
			free()
			noLeftovers(t, s)
			response := ask(3)
			s.backend.expect(t, "3 Uploading", "3 Uploaded")
			files := sink.file(t, response.FileName)
			if len(files) != 3 || files["0_board0/logs.txt"] != "content" || files["1_board1/logs.txt"] != "content" {
				t.Errorf("the archive: %v", files)
			}
			noLeftovers(t, s)
		})
	}
}

// sendsHeld has a board send the beginning of a file, and the rest when it is released. The result goes to sent.
func (b *testBoard) sendsHeld(t *testing.T, release <-chan struct{}, sent chan<- error) {
	first, rest := make([]byte, 256<<10), make([]byte, 1<<20)
	b.set(func(b *testBoard) {
		b.logs = func(_ context.Context, request map[string]any) (any, error) {
			location, err := ParseLocation(request["location"].(string))
			if err != nil {
				return nil, err
			}
			go func() {
				err := NewUploader(UploaderConfig{}).send(t.Context(), location, uploadSource{
					name: "logs.txt", size: int64(len(first) + len(rest)),
					open: func() (io.ReadCloser, error) { return io.NopCloser(held(t.Context(), first, rest, release)), nil },
				})
				sent <- err
				status := "Uploaded"
				if err != nil {
					status = "UploadFailure"
				}
				b.report(context.Background(), request["request_id"], status)
			}()
			return map[string]any{"upload_logs_status": "Accepted", "file_name": "logs.txt"}, nil
		}
	})
}

// TestDiskOfTheArchiveIsFull: the files arrive, but the archive of them has no space.
func TestDiskOfTheArchiveIsFull(t *testing.T) {
	disk := smallDisk(t, 1)
	s := newStation(t, 2, map[string]any{"outgoing_dir": disk})
	sink := newSink(t)
	for _, b := range s.boards {
		b.sendsFile(t, "logs.txt", incompressible(1<<20))
	}
	ask := func(id int) logsResponse {
		return call[logsResponse](t, s.backend, "upload_logs", logsArguments(sink.URL+"/in/", map[string]any{"request_id": id}))
	}
	ask(1)
	s.backend.expect(t, "1 Uploading", "1 UploadFailure")
	said := s.logs.FilterMessageSnippet("cannot be packed").All()
	if len(said) != 1 || !loggedError(said[0].Context, errDiskFull) || !loggedError(said[0].Context, syscall.ENOSPC) {
		t.Errorf("logged: %v", said)
	}
	eventually(t, "the part of the archive is removed", func() bool { return arriving(disk) == 0 })
	noLeftovers(t, s)
	for _, b := range s.boards {
		b.sendsFile(t, "logs.txt", []byte("content"))
	}
	response := ask(2)
	s.backend.expect(t, "2 Uploading", "2 Uploaded")
	files := sink.file(t, response.FileName)
	if len(files) != 3 || files["0_board0/logs.txt"] != "content" || files["1_board1/logs.txt"] != "content" {
		t.Errorf("the archive: %v", files)
	}
	eventually(t, "the archive is removed", func() bool { return arriving(disk) == 0 })
}

// loggedError says whether one of a message's fields is that error.
func loggedError(fields []zapcore.Field, want error) bool {
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok && errors.Is(err, want) {
			return true
		}
	}
	return false
}
