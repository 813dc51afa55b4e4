// Package vendordata is the protocol in which a backend asks the station about its boards: OCPP's DataTransfer with the
// vendor id [VendorID]. It is pure: [Parse] reads a request, the other functions write replies.
//
//	GetBoards                                    -> Accepted  {"boards": [...], "next": 40}
//	GetBoards   {"from": 40}                     -> Accepted  {"boards": [...]}
//	ResetBoard  {"board": "2", "type": "Hard"}   -> Accepted  {"board": "2_connector_3"}
//	                                             -> Rejected  {"reason": "..."}
//
// The data of a reply is always a JSON object, because EVerest's OCPP201 ends where it is not JSON.
package vendordata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// VendorID is the vendor id of the messages.
const VendorID = "com.github.remotechargeport"

// The messages. OCPP compares their names, and the vendor id, without regard to case.
const (
	messageBoards = "GetBoards"
	messageReset  = "ResetBoard"
)

// Access is what the configuration lets a backend do.
type Access string

// The accesses, as the configuration key data_transfer names them. Any other value is None.
const (
	None  Access = "none"
	Read  Access = "read"
	Reset Access = "reset"
)

// The statuses of a reply, of OCPP's DataTransferStatus.
const (
	accepted         = "Accepted"
	rejected         = "Rejected"
	unknownMessageID = "UnknownMessageId"
	unknownVendorID  = "UnknownVendorId"
)

// Request is EVerest's DataTransferRequest.
type Request struct {
	VendorID  string `json:"vendor_id"`
	MessageID string `json:"message_id"`
	Data      string `json:"data"`
}

// Reply is EVerest's DataTransferResponse.
type Reply struct {
	Status string `json:"status"`
	Data   string `json:"data,omitempty"`
}

// GetBoards asks for the boards from an index on.
type GetBoards struct {
	From int `json:"from"`
}

// ResetBoard asks for the reset of one board, by its index, its name or the id of its controller.
type ResetBoard struct {
	Board string
	Hard  bool
}

// maxRequest is the largest data of a request in bytes.
const maxRequest = 1024

// Parse reads a request: it returns a *GetBoards or a *ResetBoard, or the reply of a request that is none of them or is
// not allowed.
func Parse(access Access, request Request) (message any, refusal *Reply) {
	switch {
	case access != Read && access != Reset, !strings.EqualFold(request.VendorID, VendorID):
		return nil, &Reply{Status: unknownVendorID}
	case strings.EqualFold(request.MessageID, messageBoards):
		boards := new(GetBoards)
		if err := decode(request.Data, boards); err != nil {
			return nil, reject(err.Error())
		}
		if boards.From < 0 {
			return nil, reject("from must not be negative")
		}
		return boards, nil
	case strings.EqualFold(request.MessageID, messageReset):
		return parseReset(access, request.Data)
	}
	return nil, &Reply{Status: unknownMessageID}
}

func parseReset(access Access, data string) (message any, refusal *Reply) {
	if access != Reset {
		return nil, reject("a reset is not allowed here: the configuration key data_transfer of SystemAggregator must be reset")
	}
	var wanted struct {
		Board any    `json:"board"`
		Type  string `json:"type"`
	}
	if err := decode(data, &wanted); err != nil {
		return nil, reject(err.Error())
	}
	reset := &ResetBoard{Hard: wanted.Type == "Hard"}
	switch board := wanted.Board.(type) {
	case string:
		reset.Board = board
	case json.Number:
		reset.Board = board.String()
	}
	switch {
	case reset.Board == "":
		return nil, reject(`board must be a board's number or name, as in {"board": "1"}`)
	case wanted.Type != "" && wanted.Type != "Soft" && wanted.Type != "Hard":
		return nil, reject("type must be Soft or Hard")
	}
	return reset, nil
}

// decode reads the data of a request. It may be empty, and a text that holds the object: a backend of OCPP 2.0.1, where
// the data is any JSON, may send both.
func decode(data string, into any) error {
	if len(data) > maxRequest {
		return fmt.Errorf("data has %d bytes, and at most %d are allowed", len(data), maxRequest)
	}
	var text string
	if json.Unmarshal([]byte(data), &text) == nil {
		data = text
	}
	if strings.TrimSpace(data) == "" {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(data)))
	decoder.DisallowUnknownFields()
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("data is not the JSON object of this message: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data is more than one JSON object")
	}
	return nil
}
