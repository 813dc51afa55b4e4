package aggregator

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jlaffaye/ftp"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
	"go.uber.org/zap/zapcore"
)

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

// TestDiskOfTheReceiverIsFull: whether it fills up while the boards send or is full before, the request fails in order,
// and the one after it works.
func TestDiskOfTheReceiverIsFull(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"ftp", "http"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			disk := testenv.SmallDisk(t, diskOfReceiver)
			s := newStation(t, 2, map[string]any{
				"upload_url_template":  fmt.Sprintf("%s://{my-ip}:%d/", protocol, testenv.FreePort(t)),
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
			testenv.Eventually(t, "both files have begun to arrive", func() bool { return arriving(filepath.Join(disk, "incoming")) == 2 })
			free := testenv.Fill(t, disk)
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
			go func() {
				err := store(t.Context(), request["location"].(string)+"logs.txt", held(t.Context(), first, rest, release))
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

// store sends a content to a location of the receiver.
func store(ctx context.Context, location string, content io.Reader) error {
	parsed, err := url.Parse(location)
	if err != nil {
		return err
	}
	if parsed.Scheme == "http" {
		request, err := http.NewRequestWithContext(ctx, http.MethodPut, location, content)
		if err != nil {
			return err
		}
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusCreated {
			return errors.New(response.Status)
		}
		return nil
	}
	client, err := ftp.Dial(parsed.Host, ftp.DialWithContext(ctx))
	if err != nil {
		return err
	}
	defer client.Quit()
	password, _ := parsed.User.Password()
	if err := client.Login(parsed.User.Username(), password); err != nil {
		return err
	}
	return client.Stor(parsed.Path, content)
}

// TestDiskOfTheArchiveIsFull: the files arrive, but the archive of them has no space.
func TestDiskOfTheArchiveIsFull(t *testing.T) {
	t.Parallel()
	disk := testenv.SmallDisk(t, 1)
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
	if len(said) != 1 || !loggedError(said[0].Context, files.ErrDiskFull) || !loggedError(said[0].Context, syscall.ENOSPC) {
		t.Errorf("logged: %v", said)
	}
	testenv.Eventually(t, "the part of the archive is removed", func() bool { return arriving(disk) == 0 })
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
	testenv.Eventually(t, "the archive is removed", func() bool { return arriving(disk) == 0 })
}

// loggedError reports whether one of a message's fields is that error.
func loggedError(fields []zapcore.Field, want error) bool {
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok && errors.Is(err, want) {
			return true
		}
	}
	return false
}
