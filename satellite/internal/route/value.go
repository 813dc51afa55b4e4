package route

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Kind is how one value travels as an argument or a result of a legacy RPC function.
type Kind int

const (
	// Null carries no value: the function returns nil.
	Null Kind = iota
	// JSON is a msgpack string with the value's JSON text.
	JSON
	// Text is a msgpack string with the text of a JSON string, without quotes: enumerations and time stamps.
	Text
	// Integer is a msgpack integer.
	Integer
	// Boolean is a msgpack boolean.
	Boolean
	// Enum is a msgpack string with the JSON text of an index, where EVerest has an enumeration's text.
	Enum
	// EnumList is a msgpack string with the JSON text of a list of indices, where EVerest has a list of an
	// enumeration's texts.
	EnumList
)

// toWire converts one JSON value of this board into what the RPC function takes. It checks the whole value, because a
// C++ agent, and its board with it, goes down on a wrong one. enum is the enumeration of an Enum or an EnumList.
func toWire(kind Kind, enum enumeration, value json.RawMessage) (any, error) {
	value = bytes.TrimSpace(value)
	switch kind {
	case Null:
		return nil, nil
	case JSON:
		if !json.Valid(value) {
			return nil, fmt.Errorf("%q is not JSON", Clip(value))
		}
		return string(value), nil
	case Text:
		var text string
		if err := json.Unmarshal(value, &text); err != nil || !isString(value) {
			return nil, fmt.Errorf("%s is not a string", Clip(value))
		}
		return text, nil
	case Integer:
		return toInteger(value)
	case Boolean:
		return toBoolean(value)
	case Enum:
		return asText(enum.index(value))
	case EnumList:
		return asText(enum.indices(value))
	}
	return nil, fmt.Errorf("kind %d is unknown", kind)
}

// check reports whether a value that is known to be JSON is of a kind. It does not scan the value again.
func check(kind Kind, value json.RawMessage) (err error) {
	value = bytes.TrimSpace(value)
	switch kind {
	case Null, JSON, EnumList:
	case Text, Enum:
		if !isString(value) {
			err = fmt.Errorf("%s is not a string", Clip(value))
		}
	case Integer:
		_, err = toInteger(value)
	case Boolean:
		_, err = toBoolean(value)
	default:
		err = fmt.Errorf("kind %d is unknown", kind)
	}
	return err
}

// toInteger drops a fraction, as EVerest's generated code does. A C++ agent takes integers of 32 bits.
func toInteger(value json.RawMessage) (any, error) {
	number, err := strconv.ParseFloat(string(value), 64)
	if err != nil || number <= math.MinInt32-1 || number >= math.MaxInt32+1 {
		return nil, fmt.Errorf("%s is not an integer of 32 bits", Clip(value))
	}
	return int64(number), nil
}

func asText(value json.RawMessage, err error) (any, error) { return string(value), err }

func toBoolean(value json.RawMessage) (any, error) {
	switch string(value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, fmt.Errorf("%s is not a boolean", Clip(value))
}

// fromWire returns a target to decode a wire value of the kind into, and a function that then returns the value as
// JSON. enum is the enumeration of an Enum or an EnumList.
func fromWire(kind Kind, enum enumeration) (target any, value func() (json.RawMessage, error)) {
	switch kind {
	case JSON:
		text := new(string)
		return text, func() (json.RawMessage, error) { return parse(*text) }
	case Enum:
		text := new(string)
		return text, func() (json.RawMessage, error) { return enum.text(json.RawMessage(*text)) }
	case EnumList:
		text := new(string)
		return text, func() (json.RawMessage, error) { return enum.texts(json.RawMessage(*text)) }
	case Text:
		text := new(string)
		return text, func() (json.RawMessage, error) { return Marshal(*text) }
	case Integer:
		number := new(int64)
		return number, func() (json.RawMessage, error) { return strconv.AppendInt(nil, *number, 10), nil }
	case Boolean:
		truth := new(bool)
		return truth, func() (json.RawMessage, error) { return strconv.AppendBool(nil, *truth), nil }
	}
	return nil, func() (json.RawMessage, error) { return json.RawMessage("null"), nil }
}

// parse is the one place where a received text is checked for being JSON.
func parse(text string) (json.RawMessage, error) {
	value := json.RawMessage(text)
	if !json.Valid(value) {
		return nil, fmt.Errorf("%q is not JSON", Clip(value))
	}
	return value, nil
}

// Marshal is json.Marshal without the escapes for HTML, so that a text crosses the boards as it was written.
func Marshal(value any) (json.RawMessage, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

func isString(value json.RawMessage) bool { return len(value) > 0 && value[0] == '"' }

// Clip shortens a value to 80 bytes for an error text.
func Clip[T ~string | ~[]byte](value T) string {
	const max = 80
	if len(value) <= max {
		return string(value)
	}
	return string(value[:max]) + "..."
}
