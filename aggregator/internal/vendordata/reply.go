package vendordata

import (
	"encoding/json"
	"time"
)

// Board is a board in the reply to GetBoards. The names are those of the status socket's JSON.
type Board struct {
	Index int    `json:"index"`
	Name  string `json:"name"`
	// EVSE is the number of the board's EVSE in the station, 0 where it is not known.
	EVSE      int  `json:"evse,omitempty"`
	Connected bool `json:"connected"`
	// Since is when Connected became what it is, nil where that is not known.
	Since          *time.Time `json:"since,omitempty"`
	Serial         string     `json:"serial,omitempty"`
	Version        string     `json:"version,omitempty"`
	FirmwareStatus string     `json:"firmware_status,omitempty"`
	// FirmwareRefusal is how the board refused the newest firmware update, empty where it took it.
	FirmwareRefusal string `json:"firmware_refusal,omitempty"`
	Flashing        bool   `json:"flashing,omitempty"`
	Mixed           bool   `json:"mixed,omitempty"`
	// MixedRequest is the request by which a board has got firmware that the station does not have.
	MixedRequest int64 `json:"mixed_request_id,omitempty"`
}

// MaxReply is the largest data of a reply in bytes. OCPP has no limit for it, but backends limit their messages. The
// boards of a station with 64 satellites fit.
const MaxReply = 16 * 1024

// room is what the reply has beside its boards: {"boards":[],"next":1000}, and more.
const room = 64

// maxText is the largest text of a board in bytes. Serial numbers and names are short.
const maxText = 64

// ListBoards replies to GetBoards. Where not all boards from the index on have room, next is the index of the first one
// that is missing.
func ListBoards(boards []Board, from int) Reply {
	list := struct {
		Boards []json.RawMessage `json:"boards"`
		Next   int               `json:"next,omitempty"`
	}{Boards: []json.RawMessage{}}
	size := room
	for i := min(from, len(boards)); i < len(boards); i++ {
		board := boards[i]
		for _, text := range []*string{&board.Name, &board.Serial, &board.Version, &board.FirmwareStatus, &board.FirmwareRefusal} {
			*text = (*text)[:min(len(*text), maxText)]
		}
		object, err := json.Marshal(board)
		if err != nil {
			continue // a board always has a JSON form
		}
		if size += len(object) + 1; size > MaxReply {
			list.Next = i
			break
		}
		list.Boards = append(list.Boards, object)
	}
	return Reply{Status: accepted, Data: object(list)}
}

// IsReset replies that the board is being reset.
func IsReset(board string) Reply {
	return Reply{Status: accepted, Data: object(map[string]string{"board": board})}
}

// Reject replies to a request that cannot be carried out.
func Reject(reason string) Reply { return *reject(reason) }

// maxReason is the largest reason in bytes.
const maxReason = 512

func reject(reason string) *Reply {
	return &Reply{Status: rejected, Data: object(map[string]string{"reason": reason[:min(len(reason), maxReason)]})}
}

func object(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "{}"
	}
	return string(text)
}
