package scenario

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
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
			for _, frame := range status.Frames {
				s.view.Printf("to the backend: %s", frame)
			}
			got = append(got, status.Status)
			if status.Forgotten {
				return fmt.Errorf("%s comes before the backend has accepted the station", status.Status)
			}
			if err := s.record.status(requestOf{status.Log, id}, status.Status); err != nil {
				return err
			}
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

// play plays the scenario once all boards are ready.
func (s *scenario) play(ctx context.Context) error {
	if s.story != nil {
		return s.story.play(ctx)
	}
	if err := s.awaitRegistration(ctx); err != nil {
		return err
	}
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
	server, err := serveUploads(uploaded)
	if err != nil {
		return err
	}
	defer server.stop()
	const id = 42
	file, err := s.getLog(ctx, id, map[string]any{"request_id": id, "type": "DiagnosticsLog", "location": server.location})
	if err != nil {
		return err
	}
	if err := s.expect(ctx, id, "Uploading", "Uploaded"); err != nil {
		return err
	}
	s.view.Settle()
	return s.list(filepath.Join(uploaded, file))
}

// getLog requests a log, and returns the name of its archive.
func (s *scenario) getLog(ctx context.Context, id int64, request map[string]any) (file string, err error) {
	if err := s.awaitRegistration(ctx); err != nil {
		return "", err
	}
	name := fmt.Sprintf("GetLog %d %s", id, request["type"])
	if id == diagnostics {
		name = "GetDiagnostics"
	}
	s.view.Printf("%s", name)
	answer, err := everest.Call[struct {
		Status   string `json:"upload_logs_status"`
		FileName string `json:"file_name"`
	}](ctx, s.system(), "upload_logs", map[string]any{"upload_logs_request": request})
	if err != nil {
		return "", err
	}
	s.view.Printf("answered %s, %s", answer.Status, answer.FileName)
	s.record.request(requestOf{true, id}, "%s: %s", name, answer.Status)
	if answer.Status != "Accepted" {
		return "", errors.New("the request was not accepted")
	}
	return answer.FileName, nil
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

// playFirmware updates all boards.
func (s *scenario) playFirmware(ctx context.Context) error {
	const id = 7
	answer, err := s.updateFirmware(ctx, id, true, 1, time.Second)
	if err != nil {
		return err
	}
	s.record.update(id, answer)
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
	s.record.request(requestOf{}, "Reset Soft: %s", map[bool]string{true: "Accepted", false: "Rejected"}[allowed])
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
		s.record.line("%s is reset", system.name)
	}
	s.record.line("%s is reset", s.systems[0].name)
	return nil
}
