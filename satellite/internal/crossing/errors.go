package crossing

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// EVerest identifies an error by its type, sub type and origin. It drops an error whose origin is not in its
// configuration when the main board logs at level DEBUG. So the origin becomes the controller's implementation, and the
// satellite's origin moves into the sub type, which EVerest does not check.

// implementations lists the error types that are raised under an implementation of their own, because a module of the
// main board subscribes to them there: Auth takes an EVSE out of its choice for evse_manager/Inoperative. All others are
// raised under `satellite`.
var implementations = map[string]string{"evse_manager/Inoperative": "evse_manager"}

// Implementation returns the controller's implementation under which an error of the satellite is raised, or otherwise
// where the table has none for its type.
func (t *Translator) Implementation(errorType, otherwise string) string {
	if implementation, listed := implementations[errorType]; listed && !t.verbatim {
		return implementation
	}
	return otherwise
}

// Error returns the object of a satellite's error as the main board must see it, for the controller's implementation
// that raises or clears the error. Only origin, sub type and one text are changed. The text is the one that EVerest's
// OCPP modules give a backend as a text for people. It names the board.
func (t *Translator) Error(object json.RawMessage, implementation string) (json.RawMessage, error) {
	if t.verbatim {
		return object, nil
	}
	var identity struct {
		Type    string `json:"type"`
		SubType string `json:"sub_type"`
		texts
		Origin struct {
			Module         string `json:"module_id"`
			Implementation string `json:"implementation_id"`
		} `json:"origin"`
	}
	if err := json.Unmarshal(object, &identity); err != nil {
		return nil, fmt.Errorf("origin of an error cannot be read: %w", err)
	}
	origin, err := json.Marshal(everest.Origin{ModuleID: t.place.Module, ImplementationID: implementation, Mapping: t.place.Mapping})
	if err != nil {
		return nil, err
	}
	replaced := []rawjson.Member{
		{Name: "origin", Value: origin},
		{Name: "sub_type", Value: rawjson.AppendString(nil, subType(identity.SubType, identity.Origin.Module, identity.Origin.Implementation))},
	}
	if name, text := named(identity.Type, identity.texts, t.place.Module); text != "" {
		replaced = append(replaced, rawjson.Member{Name: name, Value: rawjson.AppendString(nil, text)})
	}
	return rawjson.Complete(object, replaced, func(member rawjson.Member) json.RawMessage {
		for _, other := range replaced {
			if other.Name == member.Name {
				return other.Value
			}
		}
		return nil
	})
}

// texts are the texts of an error for people.
type texts struct {
	Message     string `json:"message"`
	Description string `json:"description"`
}

// named returns the member whose text names the board, and the text. It is empty where the error has no such text.
//
// For evse_manager/Inoperative OCPP 1.6 sends the message as info and the description as vendorErrorCode, which is a code
// that backends may know. Of any other error it sends the origin as info, and OCPP 2.0.1 the description as techInfo.
func named(errorType string, texts texts, board string) (member, text string) {
	if errorType == "evse_manager/Inoperative" {
		return "message", Named(board, texts.Message)
	}
	return "description", Named(board, texts.Description)
}

// Named returns a text for people with the name of the board before it, and nothing for an empty text.
func Named(board, text string) string {
	if text == "" {
		return ""
	}
	return board + ": " + text
}

// escaper keeps the parts of a sub type apart.
var escaper = strings.NewReplacer("%", "%25", "/", "%2F", " ", "%20")

// subType returns the sub type that an error of the satellite has on the main board: the sub type it has on the
// satellite, a space where that is not empty, and its origin as module/implementation. What is behind the last space is
// the origin, so no two errors get one sub type.
func subType(old, module, implementation string) string {
	origin := escaper.Replace(module) + "/" + escaper.Replace(implementation)
	if old == "" {
		return origin
	}
	return old + " " + origin
}

// IsOwn reports whether an active error of the controller's implementations is one that the controller itself raised.
func (t *Translator) IsOwn(e everest.Error) bool {
	if t.verbatim {
		return e.Origin.ModuleID == t.place.Module
	}
	return !strings.Contains(e.SubType, "/")
}
