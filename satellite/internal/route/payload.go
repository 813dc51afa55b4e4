package route

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Names of the variables whose values the tunnel reads.
const (
	variableFirmware = "firmware_update_status"
	variableToken    = "provided_token"
)

// IsFailedUpdate reports whether a variable's value ends a firmware update before the board goes down for it. A lost
// peer is a fault again from then on.
func IsFailedUpdate(id, variable string, value json.RawMessage) bool {
	if id != System || variable != variableFirmware {
		return false
	}
	var status struct {
		Status string `json:"firmware_update_status"`
	}
	if json.Unmarshal(value, &status) != nil {
		return false
	}
	switch status.Status {
	case "DownloadFailed", "InstallationFailed", "InstallVerificationFailed", "InvalidSignature":
		return true
	}
	return false
}

// IsToken reports whether the values of a variable are tokens that a satellite's RFID reader provided.
func IsToken(id, variable string) bool { return id == RFID && variable == variableToken }

// WithConnectors adds the member connectors to a token, so that Auth on the main board knows the EVSE of the RFID
// reader. The connector is the mapping's, or the EVSE where none is mapped. A token that has the member already, and
// every token without a mapping, is returned unchanged. The rest of the token keeps its bytes.
func WithConnectors(token json.RawMessage, mapping *everest.Mapping) (json.RawMessage, error) {
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

// appendMember appends a member to a JSON object that does not have it. The bytes before it stay.
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
