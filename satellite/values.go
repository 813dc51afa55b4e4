package satellite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// toWire turns one EVerest value into what the RPC function takes: JSON text for
// JSON, the plain value for the other kinds.
func toWire(kind Kind, value json.RawMessage) (any, error) {
	value = bytes.TrimSpace(value)
	switch kind {
	case Null:
		return nil, nil
	case JSON:
		if len(value) == 0 || !json.Valid(value) {
			return nil, fmt.Errorf("%q is not JSON", clip(value))
		}
		return string(value), nil
	case Text:
		var text string
		if err := json.Unmarshal(value, &text); err != nil || !isString(value) {
			return nil, fmt.Errorf("%s is not a string", clip(value))
		}
		return text, nil
	case Integer:
		return toInteger(value)
	case Boolean:
		switch string(value) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("%s is not a boolean", clip(value))
	}
	return nil, fmt.Errorf("kind %d is unknown", kind)
}

// toInteger also takes 5.0: EVerest's validation counts it as an integer.
func toInteger(value json.RawMessage) (any, error) {
	if number, err := strconv.ParseInt(string(value), 10, 64); err == nil {
		return number, nil
	}
	number, err := strconv.ParseFloat(string(value), 64)
	if err != nil || number != math.Trunc(number) || math.Abs(number) > 1<<53 {
		return nil, fmt.Errorf("%s is not an integer", clip(value))
	}
	return int64(number), nil
}

// wireTarget returns a pointer to decode a wire value of the kind into, and the
// function that turns what was decoded into an EVerest value.
func wireTarget(kind Kind) (target any, value func() (json.RawMessage, error)) {
	switch kind {
	case JSON:
		text := new(string)
		return text, func() (json.RawMessage, error) {
			if !json.Valid([]byte(*text)) {
				return nil, fmt.Errorf("%q is not JSON", clip([]byte(*text)))
			}
			return json.RawMessage(*text), nil
		}
	case Text:
		text := new(string)
		return text, func() (json.RawMessage, error) { return marshal(*text) }
	case Integer:
		number := new(int64)
		return number, func() (json.RawMessage, error) {
			return strconv.AppendInt(nil, *number, 10), nil
		}
	case Boolean:
		truth := new(bool)
		return truth, func() (json.RawMessage, error) {
			return strconv.AppendBool(nil, *truth), nil
		}
	}
	return nil, func() (json.RawMessage, error) { return json.RawMessage("null"), nil }
}

// marshal is json.Marshal without the escapes for HTML, so that a text crosses
// the boards as it was written.
func marshal(value any) (json.RawMessage, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

func isString(value json.RawMessage) bool { return len(value) > 0 && value[0] == '"' }

// clip shortens a value for an error text.
func clip(value []byte) []byte {
	const most = 80
	if len(value) <= most {
		return value
	}
	return append(bytes.Clone(value[:most]), "..."...)
}
