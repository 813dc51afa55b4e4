package satellite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/remotechargeport/remotechargeport/everest"
)

// withConnectors gives a token that a satellite's RFID reader provided the
// connector it was read at, so that Auth on the main board knows which port the
// driver stands at. The connector is the mapping's, or the EVSE where none is
// mapped. A token that names connectors already, and every token without a
// mapping, is returned unchanged. The rest of the token keeps its bytes.
func withConnectors(token json.RawMessage, mapping *everest.Mapping) (json.RawMessage, error) {
	if mapping == nil {
		return token, nil
	}
	if token = bytes.TrimSpace(token); len(token) == 0 || token[0] != '{' {
		return nil, errors.New("provided token is not a JSON object")
	}
	var fields struct {
		Connectors json.RawMessage `json:"connectors"`
	}
	if err := json.Unmarshal(token, &fields); err != nil {
		return nil, fmt.Errorf("provided token cannot be read: %w", err)
	}
	if fields.Connectors != nil {
		return token, nil
	}
	connector := mapping.EVSE
	if mapping.Connector != nil {
		connector = *mapping.Connector
	}
	return appendMember(token, "connectors", "["+strconv.Itoa(connector)+"]"), nil
}

// appendMember adds a member to the end of a JSON object that has no such member,
// and leaves the bytes before it as they are.
func appendMember(object json.RawMessage, name, value string) json.RawMessage {
	body := bytes.TrimRight(object[:len(object)-1], " \t\r\n")
	extended := append(make([]byte, 0, len(object)+len(name)+len(value)+4), body...)
	if !bytes.HasSuffix(body, []byte("{")) {
		extended = append(extended, ',')
	}
	extended = append(extended, '"')
	extended = append(extended, name...)
	extended = append(extended, '"', ':')
	extended = append(extended, value...)
	return append(extended, '}')
}
