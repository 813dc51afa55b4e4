package route

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// enumeration is the texts of an enumeration in the order of its declaration. The C++ modules write a text as its index
// on the legacy wire, in three places. Their parsers end the process on anything else.
//
// What a peer wrote is read in both forms: a Go module of an earlier release writes the texts.
type enumeration []string

// Conversions are the variables whose values the legacy dialect changes, by the id of the route and the name.
type Conversions map[string]map[string]enumeration

// ConversionsOf returns the conversions of the routes' variables.
func ConversionsOf(routes []Route) Conversions {
	conversions := make(Conversions)
	for _, route := range routes {
		for _, variable := range route.Variables {
			if !variable.Indices {
				continue
			}
			if conversions[route.ID] == nil {
				conversions[route.ID] = make(map[string]enumeration)
			}
			conversions[route.ID][variable.Name] = variable.enum
		}
	}
	return conversions
}

// ToWire returns a variable's value as the legacy dialect carries it.
func (c Conversions) ToWire(id, name string, value json.RawMessage) (json.RawMessage, error) {
	enum, converted := c[id][name]
	if !converted {
		return value, nil
	}
	wire, err := enum.indices(value)
	return wire, named(id, name, err)
}

// FromWire returns the value that EVerest has for a variable that the legacy dialect carried.
func (c Conversions) FromWire(id, name []byte, value json.RawMessage) (json.RawMessage, error) {
	enum, converted := c[string(id)][string(name)]
	if !converted {
		return value, nil
	}
	texts, err := enum.texts(value)
	return texts, named(string(id), string(name), err)
}

func named(id, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("variable %s.%s: %w", id, name, err)
}

// find returns the index of a value, which is a text or an index.
func (e enumeration) find(value json.RawMessage) (int, error) {
	value = bytes.TrimSpace(value)
	index := -1
	if isString(value) {
		if err := rawjson.Check(value); err != nil {
			return 0, fmt.Errorf("%s: %w", Clip(value), err)
		}
		index = slices.Index(e, rawjson.String(value))
	} else if number, err := strconv.Atoi(string(value)); err == nil {
		index = number
	}
	switch {
	case len(e) == 0:
		return 0, errors.New("this board's EVerest does not define its enumeration")
	case index < 0 || index >= len(e):
		return 0, fmt.Errorf("%s is neither a value nor an index of its enumeration, which has %d values here", Clip(value), len(e))
	}
	return index, nil
}

// index returns the index of a value.
func (e enumeration) index(value json.RawMessage) (json.RawMessage, error) {
	index, err := e.find(value)
	if err != nil {
		return nil, err
	}
	return strconv.AppendInt(nil, int64(index), 10), nil
}

// text returns the text of a value.
func (e enumeration) text(value json.RawMessage) (json.RawMessage, error) {
	index, err := e.find(value)
	if err != nil {
		return nil, err
	}
	return Marshal(e[index])
}

// indices returns the indices of a list of values.
func (e enumeration) indices(list json.RawMessage) (json.RawMessage, error) {
	return eachElement(list, e.index)
}

// texts returns the texts of a list of values.
func (e enumeration) texts(list json.RawMessage) (json.RawMessage, error) {
	return eachElement(list, e.text)
}

// maxElements is how many elements a list of an enumeration may have. A longer one is refused: a text is longer than its
// index, and a peer must not fill the memory.
const maxElements = 256

// eachElement returns a list with each element converted.
func eachElement(list json.RawMessage, convert func(json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
	converted := json.RawMessage("[")
	r := rawjson.NewReader(list)
	r.Array()
	for count := 0; r.More(); count++ {
		if count == maxElements {
			return nil, fmt.Errorf("a list of more than %d elements", maxElements)
		}
		element := r.Value()
		if element == nil {
			break
		}
		value, err := convert(element)
		if err != nil {
			return nil, err
		}
		if count > 0 {
			converted = append(converted, ',')
		}
		converted = append(converted, value...)
	}
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("%s is not a list of an enumeration's values: %w", Clip(list), err)
	}
	return append(converted, ']'), nil
}
