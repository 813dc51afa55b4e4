package scenario

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

// stepTime is how long a simulated step of a firmware update takes.
const stepTime = 200 * time.Millisecond

// simulatedSystem is a board's system module. It writes a log file and uploads it, by curl where that is installed. It
// only reports firmware updates and resets.
type simulatedSystem struct {
	scenario *scenario
	name     string
	module   *everest.Module
	allowed  chan struct{}
	allow    sync.Once
	down     chan struct{}
	goDown   sync.Once
	downAt   time.Time
	// restart makes a board that comes back after a reset go down, nil for another board.
	restart func()

	mu    sync.Mutex
	bytes int64
}

func newSimulatedSystem(s *scenario, name string) *simulatedSystem {
	return &simulatedSystem{scenario: s, name: name, allowed: make(chan struct{}), down: make(chan struct{})}
}

// size returns the size of the file that the board uploads.
func (b *simulatedSystem) size() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

type uploadRequest struct {
	Request struct {
		Location  string `json:"location"`
		RequestID int64  `json:"request_id"`
	} `json:"upload_logs_request"`
}

type updateRequest struct {
	Request struct {
		RequestID int64 `json:"request_id"`
	} `json:"firmware_update_request"`
}

func (b *simulatedSystem) setUp(module *everest.Module) error {
	b.module = module
	provided := module.Provides("main")
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	module.OnReady(func(running context.Context) error {
		<-running.Done()
		cancel()
		working.Wait()
		return nil
	})
	everest.Handle(provided, "upload_logs", func(_ context.Context, request uploadRequest) (any, error) {
		file, err := b.writeLog()
		if err != nil {
			return map[string]any{"upload_logs_status": "Rejected"}, nil
		}
		working.Go(func() { b.upload(ctx, file, request.Request.Location, request.Request.RequestID) })
		return map[string]any{"upload_logs_status": "Accepted", "file_name": filepath.Base(file)}, nil
	})
	everest.Handle(provided, "update_firmware", func(_ context.Context, request updateRequest) (string, error) {
		working.Go(func() { b.update(ctx, request.Request.RequestID) })
		return "Accepted", nil
	})
	provided.Handle("allow_firmware_installation", func(context.Context, everest.Args) (any, error) {
		b.scenario.view.Printf("  %s may install", b.name)
		b.allow.Do(func() { close(b.allowed) })
		return nil, nil
	})
	provided.Handle("reset", func(_ context.Context, arguments everest.Args) (any, error) {
		if b.restart != nil {
			b.scenario.view.Printf("  %s is reset: %s", b.name, arguments["type"])
			time.AfterFunc(stepTime, b.restart)
			return nil, nil
		}
		b.goDown.Do(func() {
			b.downAt = time.Now()
			b.scenario.view.Printf("  %s is reset: %s", b.name, arguments["type"])
			close(b.down)
		})
		return nil, nil
	})
	for command, answer := range map[string]any{"is_reset_allowed": true, "set_system_time": true, "get_boot_reason": "PowerUp"} {
		provided.Handle(command, func(context.Context, everest.Args) (any, error) { return answer, nil })
	}
	return nil
}

// writeLog writes a log file of some MiB, with another size for each board.
func (b *simulatedSystem) writeLog() (string, error) {
	directory := filepath.Join(b.scenario.directory, b.name)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return "", err
	}
	line := fmt.Appendf(nil, "%s: all is well\n", b.name)
	content := bytes.Repeat(line, (2<<20+len(b.name)<<18)/len(line))
	b.mu.Lock()
	b.bytes = int64(len(content))
	b.mu.Unlock()
	file := filepath.Join(directory, "diagnostics.log")
	return file, os.WriteFile(file, content, 0o600)
}

func (b *simulatedSystem) upload(ctx context.Context, file, location string, id int64) {
	b.publish(ctx, "log_status", map[string]any{"request_id": id, "log_status": "Uploading"})
	status := "Uploaded"
	if err := send(ctx, file, location); err != nil {
		b.scenario.view.Printf("  %s could not upload: %v", b.name, err)
		status = "UploadFailure"
	}
	b.publish(ctx, "log_status", map[string]any{"request_id": id, "log_status": status})
}

// send uploads a file as EVerest's system modules do: by curl.
func send(ctx context.Context, file, location string) error {
	curl, err := exec.LookPath("curl")
	if err == nil {
		return exec.CommandContext(ctx, curl, "--silent", "--show-error", "--ssl", "-T", file, location).Run()
	}
	parsed, err := transfer.ParseLocation(location)
	if err != nil {
		return err
	}
	return transfer.NewUploader(transfer.UploaderConfig{}).Upload(ctx, parsed, file, filepath.Base(file), nil)
}

func (b *simulatedSystem) update(ctx context.Context, id int64) {
	steps := []string{"Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed"}
	const untilPermitted = 3
	done := 0
	report := func(statuses ...string) {
		for _, status := range statuses {
			if recording.Sleep(ctx, stepTime) != nil {
				return
			}
			done++
			b.scenario.view.Move(terminal.Bar{Name: b.name, Done: int64(done), Total: int64(len(steps)), Note: status})
			b.publish(ctx, "firmware_update_status", map[string]any{"request_id": id, "firmware_update_status": status})
		}
	}
	report(steps[:untilPermitted]...)
	select {
	case <-b.allowed:
	case <-ctx.Done():
		return
	}
	report(steps[untilPermitted:]...)
}

func (b *simulatedSystem) publish(ctx context.Context, variable string, value any) {
	if err := b.module.Provides("main").Publish(ctx, variable, value); err != nil && ctx.Err() == nil {
		b.scenario.view.Printf("  %s: %v", b.name, err)
	}
}
