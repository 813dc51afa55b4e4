package bindings

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// Enumeration is a generated enumeration type. Values returns its constants in declared order.
type Enumeration[T any] interface {
	~string
	Values() []T
}

// EnumList is a list of an enumeration inside an object, or one that is a result. It is encoded as EVerest's C++ code
// encodes one: as integers, each the index of a value in the declaration. It decodes texts as well. A list that is the
// whole value of a variable or an argument is a List, because EVerest has texts there.
//
// An unknown text is encoded as that text. An unknown index is decoded as its digits, and encoded as the index. A nil
// EnumList is encoded as []. A []T can be assigned to an EnumList[T].
type EnumList[T Enumeration[T]] []T

// MarshalJSON implements json.Marshaler.
func (l EnumList[T]) MarshalJSON() ([]byte, error) {
	var none T
	known := none.Values()
	encoded := []byte("[")
	for i, value := range l {
		if i > 0 {
			encoded = append(encoded, ',')
		}
		index := slices.Index(known, value)
		switch {
		case index >= 0:
			encoded = strconv.AppendInt(encoded, int64(index), 10)
		case isInteger(string(value)):
			encoded = append(encoded, value...)
		default:
			encoded = rawjson.AppendString(encoded, string(value))
		}
	}
	return append(encoded, ']'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *EnumList[T]) UnmarshalJSON(data []byte) error {
	var elements []json.RawMessage
	if err := json.Unmarshal(data, &elements); err != nil {
		return err
	}
	*l = nil
	if elements == nil {
		return nil
	}
	var none T
	known := none.Values()
	values := make(EnumList[T], len(elements))
	for i, element := range elements {
		text := string(element)
		if !isInteger(text) {
			if err := json.Unmarshal(element, &text); err != nil || element[0] != '"' {
				return fmt.Errorf("%.40s is neither a text nor an index of an enumeration", element)
			}
		} else if index, err := strconv.Atoi(text); err == nil && index >= 0 && index < len(known) {
			text = string(known[index])
		}
		values[i] = T(text)
	}
	*l = values
	return nil
}

// isInteger reports whether a text is an integer in JSON.
func isInteger(text string) bool {
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return digits != "" && (digits[0] != '0' || len(digits) == 1)
}
