package everest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest/internal/rawjson"
)

// The values of msg_type that modules send and receive.
const (
	typeVariable       = "Var"
	typeCommand        = "Cmd"
	typeCommandResult  = "CmdResult"
	typeRaiseError     = "RaiseError"
	typeClearError     = "ClearError"
	typeConfigRequest  = "GetConfig"
	typeConfigResponse = "GetConfigResponse"
	typeModuleReady    = "ModuleReady"
	typeGlobalReady    = "GlobalReady"
	typeExternal       = "ExternalMQTT"
)

// openEnvelope returns the data of a message of one of the wanted types.
func openEnvelope(payload []byte, wanted ...string) (kind string, data json.RawMessage, err error) {
	var quotedKind json.RawMessage
	object := rawjson.ReadObject(payload)
	for {
		name, value, ok := object.Next()
		if !ok {
			break
		}
		switch string(name) {
		case "msg_type":
			quotedKind = value
		case "data":
			data = value
		}
	}
	if object.Err() != nil {
		return "", nil, object.Err()
	}
	if quotedKind == nil {
		return "", nil, errors.New("no msg_type")
	}
	for _, kind := range wanted {
		if len(quotedKind) == len(kind)+2 && string(quotedKind[1:len(quotedKind)-1]) == kind {
			if data == nil {
				return "", nil, errors.New("no data")
			}
			return kind, data, nil
		}
	}
	return "", nil, fmt.Errorf("msg_type is %.40s, not %s", quotedKind, wanted[0])
}

// variableValue returns the value that a variable's message carries.
func variableValue(payload []byte) (json.RawMessage, error) {
	_, data, err := openEnvelope(payload, typeVariable)
	if err != nil {
		return nil, err
	}
	value, err := innerData(data)
	if err == nil && value == nil {
		err = errors.New("no data.data")
	}
	return value, err
}

// innerData returns the data inside of an envelope's data, nil where there is none.
func innerData(data json.RawMessage) (json.RawMessage, error) {
	var inner json.RawMessage
	object := rawjson.ReadObject(data)
	for {
		name, value, ok := object.Next()
		if !ok {
			break
		}
		if string(name) == "data" {
			inner = value
		}
	}
	if object.Err() != nil {
		return nil, fmt.Errorf("data: %w", object.Err())
	}
	return inner, nil
}

// commandRequest is the content of a Cmd message.
type commandRequest struct {
	id, origin string
	arguments  json.RawMessage // nil where the message has none
}

// readCommand accepts what can be answered: without an id or an origin no reply is possible.
func readCommand(payload []byte) (commandRequest, error) {
	_, data, err := openEnvelope(payload, typeCommand)
	if err != nil {
		return commandRequest{}, err
	}
	var request commandRequest
	object := rawjson.ReadObject(data)
	for {
		name, value, ok := object.Next()
		if !ok {
			break
		}
		switch string(name) {
		case "id":
			request.id = rawjson.String(value)
		case "origin":
			request.origin = rawjson.String(value)
		case "args":
			request.arguments = value
		}
	}
	if object.Err() != nil {
		return commandRequest{}, fmt.Errorf("data: %w", object.Err())
	}
	if request.id == "" {
		return commandRequest{}, errors.New("no id")
	}
	if !validTopicLevel(request.origin) {
		return commandRequest{}, fmt.Errorf("origin %.40q is no module id", request.origin)
	}
	return request, nil
}

// readArguments takes null for no arguments, as C++ callers send it.
func readArguments(raw json.RawMessage) (Args, error) {
	arguments := Args{}
	if rawjson.IsNull(raw) {
		return arguments, nil
	}
	object := rawjson.ReadObject(raw)
	for {
		name, value, ok := object.Next()
		if !ok {
			break
		}
		arguments[string(name)] = value
	}
	if object.Err() != nil {
		return nil, fmt.Errorf("arguments: %w", object.Err())
	}
	return arguments, nil
}

// commandResult is the content of a CmdResult message: an error, or else a value.
type commandResult struct {
	id      string
	value   json.RawMessage
	failure *CommandError
}

func readResult(payload []byte) (commandResult, error) {
	_, data, err := openEnvelope(payload, typeCommandResult)
	if err != nil {
		return commandResult{}, err
	}
	inner, err := innerData(data)
	if err != nil {
		return commandResult{}, err
	}
	result := commandResult{value: json.RawMessage("null")}
	object := rawjson.ReadObject(inner)
	for {
		name, value, ok := object.Next()
		if !ok {
			break
		}
		switch string(name) {
		case "id":
			result.id = rawjson.String(value)
		case "retval":
			result.value = value
		case "error":
			result.failure = readFailure(value)
		}
	}
	if object.Err() != nil {
		return commandResult{}, fmt.Errorf("data.data: %w", object.Err())
	}
	if result.id == "" {
		return commandResult{}, errors.New("no id")
	}
	return result, nil
}

// readFailure is nil for null and reads whatever else is there as well as it can: an error must not be taken for success.
func readFailure(raw json.RawMessage) *CommandError {
	if rawjson.IsNull(raw) {
		return nil
	}
	var fields struct {
		Type    string `json:"__everest__error_type"`
		Message string `json:"__everest__error_msg"`
	}
	if json.Unmarshal(raw, &fields) != nil || fields.Type == "" {
		return &CommandError{Type: HandlerException, Message: "unreadable error: " + string(raw)}
	}
	return &CommandError{Type: fields.Type, Message: fields.Message}
}

// encodeValue turns a value into JSON. A json.RawMessage passes as it is, once it is known to be JSON: EVerest's modules
// end, or drop the message, when it is not.
func encodeValue(value any) (json.RawMessage, error) {
	switch value := value.(type) {
	case nil:
		return json.RawMessage("null"), nil
	case json.RawMessage:
		if len(value) == 0 {
			return json.RawMessage("null"), nil
		}
		return value, rawjson.Check(value)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// The writers below put the keys in alphabetical order, as the C++ framework does.

func envelope(kind string, data []byte) []byte {
	out := make([]byte, 0, len(data)+len(kind)+len(`{"data":,"msg_type":""}`))
	out = append(out, `{"data":`...)
	out = append(out, data...)
	out = append(out, `,"msg_type":"`...)
	out = append(out, kind...)
	return append(out, `"}`...)
}

func variableMessage(value json.RawMessage) []byte {
	out := make([]byte, 0, len(value)+40)
	out = append(out, `{"data":{"data":`...)
	out = append(out, value...)
	return append(out, `},"msg_type":"Var"}`...)
}

func commandMessage(id, origin string, arguments json.RawMessage) []byte {
	out := make([]byte, 0, len(arguments)+len(id)+len(origin)+70)
	out = append(out, `{"data":{"args":`...)
	out = append(out, arguments...)
	out = append(out, `,"id":`...)
	out = rawjson.AppendString(out, id)
	out = append(out, `,"origin":`...)
	out = rawjson.AppendString(out, origin)
	return append(out, `},"msg_type":"Cmd"}`...)
}

// resultMessage writes an error, or else the value.
func resultMessage(id, origin string, value json.RawMessage, failure *CommandError) []byte {
	out := make([]byte, 0, len(value)+len(id)+len(origin)+100)
	out = append(out, `{"data":{"data":{`...)
	if failure != nil {
		out = append(out, `"error":{"__everest__error_msg":`...)
		out = rawjson.AppendString(out, failure.Message)
		out = append(out, `,"__everest__error_type":`...)
		out = rawjson.AppendString(out, failure.Type)
		out = append(out, `},`...)
	}
	out = append(out, `"id":`...)
	out = rawjson.AppendString(out, id)
	out = append(out, `,"origin":`...)
	out = rawjson.AppendString(out, origin)
	if failure == nil {
		out = append(out, `,"retval":`...)
		out = append(out, value...)
	}
	return append(out, `},"type":"result"},"msg_type":"CmdResult"}`...)
}
