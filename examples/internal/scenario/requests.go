package scenario

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
)

// expect prints the statuses as they come, and returns an error for the first that is not the wanted one.
func (s *scenario) expect(ctx context.Context, id int64, want ...string) error {
	var got []string
	for len(got) < len(want) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", strings.Join(got, ", "), context.Cause(ctx))
		case status := <-s.heard:
			s.view.Printf("%s %d %s", status.Variable, status.RequestID, status.Status)
			got = append(got, status.Status)
			if status.RequestID != id {
				return fmt.Errorf("%s came with request id %d instead of %d", status.Status, status.RequestID, id)
			}
		}
		if got[len(got)-1] != want[len(got)-1] {
			return fmt.Errorf("the backend received %s, want %s", strings.Join(got, ", "), strings.Join(want, ", "))
		}
	}
	s.view.Printf("status sequence: %s", strings.Join(got, ", "))
	return nil
}

func (s *scenario) system() *everest.Required { return s.backend.Requires("system")[0] }

// play plays the scenario once all boards are ready.
func (s *scenario) play(ctx context.Context) error {
	switch s.Name {
	case Logs:
		return s.playLogs(ctx)
	case Firmware:
		return s.playFirmware(ctx)
	}
	return s.playReset(ctx)
}

// playLogs asks for the station's log file, and lists what the backend gets.
func (s *scenario) playLogs(ctx context.Context) error {
	uploaded := filepath.Join(s.directory, "uploaded")
	location, stop, err := serveUploads(uploaded)
	if err != nil {
		return err
	}
	defer stop()
	const id = 42
	s.view.Printf("GetLog %d DiagnosticsLog", id)
	answer, err := everest.Call[struct {
		Status   string `json:"upload_logs_status"`
		FileName string `json:"file_name"`
	}](ctx, s.system(), "upload_logs", map[string]any{"upload_logs_request": map[string]any{
		"request_id": id, "type": "DiagnosticsLog", "location": location,
	}})
	if err != nil {
		return err
	}
	s.view.Printf("answered %s, %s", answer.Status, answer.FileName)
	if answer.Status != "Accepted" {
		return errors.New("the request was not accepted")
	}
	if err := s.expect(ctx, id, "Uploading", "Uploaded"); err != nil {
		return err
	}
	s.view.Settle()
	return s.list(filepath.Join(uploaded, answer.FileName))
}

// list prints the content of an archive, and returns an error unless every board is in it.
func (s *scenario) list(file string) error {
	packed, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("the backend has no archive: %w", err)
	}
	defer packed.Close()
	compressed, err := gzip.NewReader(packed)
	if err != nil {
		return err
	}
	s.view.Printf("content of %s:", filepath.Base(file))
	boards := map[string]bool{}
	for content := tar.NewReader(compressed); ; {
		header, err := content.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		s.view.Printf("  %10d  %s", header.Size, header.Name)
		if folder := path.Dir(header.Name); folder != "." {
			boards[folder] = true
		}
	}
	if len(boards) != s.Satellites+1 {
		return fmt.Errorf("the archive has files of %d boards, the station has %d", len(boards), s.Satellites+1)
	}
	return nil
}

// serveUploads starts the backend's file server, which stores every PUT in the directory.
func serveUploads(directory string) (location string, stop func(), err error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return "", nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) {
		file, err := os.Create(filepath.Join(directory, path.Base(request.URL.Path)))
		if err == nil {
			_, err = io.Copy(file, request.Body)
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			http.Error(reply, err.Error(), http.StatusInternalServerError)
			return
		}
		reply.WriteHeader(http.StatusCreated)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // it ends when stop closes it
	}()
	return "http://" + listener.Addr().String() + "/", func() { server.Close(); <-done }, nil
}

// playFirmware updates all boards.
func (s *scenario) playFirmware(ctx context.Context) error {
	const id = 7
	s.view.Printf("UpdateFirmware %d, signed", id)
	answer, err := everest.Call[string](ctx, s.system(), "update_firmware", map[string]any{"firmware_update_request": map[string]any{
		"request_id": id, "location": "https://example.org/firmware", "signature": "c2lnbmF0dXJl", "signing_certificate": "certificate",
	}})
	if err != nil {
		return err
	}
	s.view.Printf("answered %s", answer)
	if err := s.expect(ctx, id, "Downloading", "Downloaded", "SignatureVerified"); err != nil {
		return err
	}
	s.view.Printf("OCPP has taken the connectors out of service: the installation is allowed")
	if err := s.system().Call(ctx, "allow_firmware_installation", nil, nil); err != nil {
		return err
	}
	return s.expect(ctx, id, "Installing", "InstallRebooting", "Installed")
}

// playReset resets the station, and returns an error unless the main board goes down last.
func (s *scenario) playReset(ctx context.Context) error {
	allowed, err := everest.Call[bool](ctx, s.system(), "is_reset_allowed", map[string]any{"type": "Soft"})
	if err != nil {
		return err
	}
	s.view.Printf("Reset Soft, allowed: %t", allowed)
	asked := time.Now()
	if err := s.system().Call(ctx, "reset", map[string]any{"type": "Soft", "scheduled": false}, nil); err != nil {
		return err
	}
	s.view.Printf("answered after %v", time.Since(asked).Round(time.Millisecond))
	for i := s.Satellites; i >= 0; i-- {
		select {
		case <-s.systems[i].down:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for _, system := range s.systems[1:] {
		if !system.downAt.Before(s.systems[0].downAt) {
			return fmt.Errorf("the main board went down before %s", system.name)
		}
	}
	return nil
}
