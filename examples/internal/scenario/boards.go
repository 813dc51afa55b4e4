package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
)

// vendor is the vendor id of SystemAggregator's data transfer.
const vendor = "com.github.remotechargeport"

// listedBoard is a board in the answer to GetBoards.
type listedBoard struct {
	Name      string `json:"name"`
	Connected bool   `json:"connected"`
	Since     string `json:"since"`
	// FirmwareStatus is the board's last report.
	FirmwareStatus string `json:"firmware_status"`
}

// boardsNow asks for the boards of a main board that may go down meanwhile.
func (s *scenario) boardsNow(ctx context.Context) ([]listedBoard, error) {
	limited, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return s.boards(limited, true)
}

// boards asks for the boards. It prints the answer unless quiet is set.
func (s *scenario) boards(ctx context.Context, quiet bool) ([]listedBoard, error) {
	data, err := s.dataTransfer(ctx, "GetBoards", "", quiet)
	if err != nil {
		return nil, err
	}
	var list struct {
		Boards []listedBoard `json:"boards"`
	}
	if err := json.Unmarshal([]byte(data), &list); err != nil {
		return nil, err
	}
	return list.Boards, nil
}

// dataTransfer sends what OCPP sends for a DataTransfer of the backend.
func (s *scenario) dataTransfer(ctx context.Context, message, data string, quiet bool) (string, error) {
	request := map[string]any{"vendor_id": vendor, "message_id": message}
	if data != "" {
		request["data"] = data
	}
	if err := s.awaitRegistration(ctx); err != nil {
		return "", err
	}
	asked := time.Now()
	answer, err := everest.Call[everest.Args](ctx, s.backend.Load().Requires("data_transfer")[0], "data_transfer", map[string]any{"request": request})
	if err != nil {
		return "", err
	}
	if !quiet {
		s.view.Printf("%s after %v: %s %s", message, time.Since(asked).Round(time.Millisecond), answer["status"], answer["data"])
	}
	var text string
	err = answer.Decode("data", &text)
	if string(answer["status"]) != `"Accepted"` {
		err = errors.Join(fmt.Errorf("%s is answered %s", message, answer["status"]), err)
	}
	return text, err
}
