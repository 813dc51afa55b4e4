package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
)

// heardStatus is a status of the station.
type heardStatus struct {
	RequestID int64
	Status    string
	// Log: the status is one of a log, and not of a firmware update.
	Log bool
	// Frames are what the backend receives.
	Frames []ocppframes.Frame
	// Forgotten: the backend has not accepted the station yet, and OCPP has forgotten the status.
	Forgotten bool
	// Restarted: there is no status, but a start of the main board.
	Restarted bool
}

// ocppConfig is the configuration of OCPP's part. The name of the module shows the version.
func (s *scenario) ocppConfig() everesttest.ModuleConfig {
	config := standin.Config("Backend", nil, map[string][]everesttest.Connection{
		"system": board.To("system_aggregator", "system"), "data_transfer": board.To("system_aggregator", "ocpp_data_transfer"),
	})
	config.Module = map[ocppframes.Version]string{ocppframes.OCPP16: "OCPP", ocppframes.OCPP201: "OCPP201"}[s.record.version]
	return config
}

// registration is how long the backend takes to accept the station after a start.
const registration = 300 * time.Millisecond

// ocpp receives the statuses, and makes of them what a backend would get. As libocpp it forgets what it gets before the
// backend has accepted the station.
func (s *scenario) ocpp(module *everest.Module) error {
	if err := standin.AnswerAll(s.definitions, module.Provides("auth"), standin.PlainAnswer); err != nil {
		return err
	}
	s.registered.Store(false)
	s.backend.Store(module)
	queue := module.NewQueue("statuses")
	told := ocppframes.New(s.record.version)
	for variable, frames := range map[string]func(int64, string) ([]ocppframes.Frame, error){"log_status": told.Logs, "firmware_update_status": told.Firmware} {
		everest.Subscribe(module.Requires("system")[0], variable, func(_ context.Context, value struct {
			RequestID int64  `json:"request_id"`
			Log       string `json:"log_status"`
			Firmware  string `json:"firmware_update_status"`
		}) {
			status := heardStatus{RequestID: value.RequestID, Status: value.Log + value.Firmware, Log: value.Log != ""}
			if status.Forgotten = !s.registered.Load(); !status.Forgotten {
				var err error
				if status.Frames, err = frames(status.RequestID, status.Status); err != nil {
					module.Fail(err)
				}
			}
			s.heard <- status
		}, everest.OnQueue(queue))
	}
	module.OnReady(func(ctx context.Context) error { return s.register(ctx, module) })
	return nil
}

// register tells what OCPP tells of its backend after a start.
func (s *scenario) register(ctx context.Context, module *everest.Module) error {
	tell := func(variable string, value any) error {
		if err := module.Provides("ocpp_generic").Publish(ctx, variable, value); err != nil && ctx.Err() == nil {
			return err
		}
		return nil
	}
	if err := tell("is_connected", true); err != nil {
		return err
	}
	select {
	case <-time.After(registration):
	case <-ctx.Done():
		return nil
	}
	s.registered.Store(true)
	return tell("boot_notification_response", map[string]any{
		"status": "Accepted", "current_time": time.Now().UTC().Format(time.RFC3339), "interval": 300,
	})
}

// awaitRegistration waits until the backend can request something.
func (s *scenario) awaitRegistration(ctx context.Context) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !s.registered.Load() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("the backend has not accepted the station: %w", context.Cause(ctx))
		}
	}
	return nil
}

// system returns the station as OCPP sees it.
func (s *scenario) system() *everest.Required { return s.backend.Load().Requires("system")[0] }

// callTime bounds a call of the main board, which may go down meanwhile.
const callTime = 5 * time.Second

// updateFirmware requests an update, and returns the answer.
func (s *scenario) updateFirmware(ctx context.Context, id int64, signed bool, attempts int, interval time.Duration) (string, error) {
	if err := s.awaitRegistration(ctx); err != nil {
		return "", err
	}
	s.view.Printf("UpdateFirmware %d, signed: %t, %d attempts", id, signed, attempts)
	request := map[string]any{
		"request_id": id, "location": "https://example.org/firmware", "retries": attempts, "retry_interval_s": int(interval.Seconds()),
	}
	if signed {
		request["signature"], request["signing_certificate"] = "c2lnbmF0dXJl", "certificate"
	}
	answer, err := everest.Call[string](ctx, s.system(), "update_firmware", map[string]any{"firmware_update_request": request})
	if err == nil {
		s.view.Printf("UpdateFirmware %d is answered %s", id, answer)
	}
	return answer, err
}

// permit is what OCPP does for a status that says that there is an image.
func (s *scenario) permit(ctx context.Context) error {
	s.view.Printf("OCPP has taken the connectors out of service: the installation is allowed")
	limited, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := s.system().Call(limited, "allow_firmware_installation", nil, nil); err != nil && ctx.Err() == nil {
		s.view.Printf("the main board has gone down, and asks for the permission once more: %v", err)
	}
	return ctx.Err()
}
