package family

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// Topics returns the topics that show a manager's family, below the prefix of all topics, in the order in which to subscribe
// to them. What the absence of a message would show comes after that message: error_types_map before module_names, and
// that before manifests, which is left over from a manager of 2024.11 for ever.
func Topics() []string {
	return []string{"interfaces", "settings", "error_types_map", "ready", "module_names", "manifests"}
}

// Heard is a message of a manager.
type Heard struct {
	// Topic is below the prefix.
	Topic string
	// Type is the msg_type, or empty for a message without an envelope.
	Type string
	// ForwardsExceptions is true for settings with the key forward_exceptions.
	ForwardsExceptions bool
	// Retained is true for a message that may be older than the present manager.
	Retained bool
}

// Hear reads a message on one of Topics. ok is false for one that shows nothing, such as garbage.
func Hear(topic string, payload []byte, retained bool) (heard Heard, ok bool) {
	heard = Heard{Topic: topic, Retained: retained}
	if rawjson.Check(payload) != nil {
		return Heard{}, false
	}
	var envelope struct {
		Type *string         `json:"msg_type"`
		Data json.RawMessage `json:"data"`
	}
	data := json.RawMessage(payload)
	if json.Unmarshal(payload, &envelope) == nil && envelope.Type != nil {
		heard.Type, data = *envelope.Type, envelope.Data
	}
	if topic == "ready" {
		return heard, !retained && string(data) == "true" && (heard.Type == "" || heard.Type == "GlobalReady")
	}
	if topic == "interfaces" {
		var names []string
		return heard, json.Unmarshal(data, &names) == nil && names != nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil || members == nil {
		return Heard{}, false
	}
	if topic == "settings" {
		_, heard.ForwardsExceptions = members["forward_exceptions"]
		_, isSettings := members["data_dir"]
		return heard, isSettings
	}
	for _, value := range members {
		if wanted := map[bool]byte{true: '{', false: '"'}[topic == "manifests"]; value[0] != wanted {
			return Heard{}, false
		}
	}
	return heard, len(members) > 0
}

// ofMessages returns the families that the messages leave. Messages that came live count before those that the broker
// had kept. Among those the ones that every manager overwrites at its start count.
func ofMessages(messages []Heard) (families []string, where string, err error) {
	for _, retained := range []bool{false, true} {
		families, where, err = ofMessagesThat(messages, retained)
		if len(families) > 0 || err != nil {
			return families, where, err
		}
	}
	return nil, "", nil
}

func ofMessagesThat(messages []Heard, retained bool) (families []string, where string, err error) {
	topics := map[string]Heard{}
	for _, heard := range messages {
		if heard.Retained == retained {
			topics[heard.Topic] = heard
		}
	}
	last := ""
	for _, topic := range []string{"interfaces", "settings"} {
		heard, present := topics[topic]
		if !present {
			continue
		}
		kind := "the manager's message on " + topic
		if retained {
			kind = "the manager's retained message on " + topic
		}
		some, err := ofMessage(heard)
		switch {
		case err != nil && retained:
			continue // a leftover, perhaps
		case err != nil:
			return nil, "", fmt.Errorf("%w (%s)", err, kind)
		}
		if last != "" && last != some[0] {
			return nil, "", nil // leftovers of another family: only a live message decides
		}
		families, where, last = some, kind, some[0]
	}
	if len(families) == 0 {
		if heard, present := topics["ready"]; present {
			if heard.Type == "" {
				return append(FamiliesA(), "B1", "B2", "B3", "B4a", "B4b"), "the manager's message on ready", nil
			}
			return []string{"C", "D"}, "the manager's message on ready", nil
		}
		return nil, "", nil
	}
	if families[0] != "B1" {
		return families, where, nil
	}
	return stepOfB(topics), where, nil
}

// ofMessage returns the families of a start-up message.
func ofMessage(heard Heard) ([]string, error) {
	switch heard.Type {
	case "":
		return []string{"B1", "B2", "B3", "B4a", "B4b"}, nil
	case "GetConfigResponse":
		return []string{"C"}, nil
	case "ConfigurationResponse":
		return []string{"D"}, nil
	}
	return nil, fmt.Errorf("%w: it has messages of the type %.40q; the program speaks those of EVerest %s",
		ErrNotSpoken, strings.ToValidUTF8(heard.Type, "?"), releasesOf(wire.Names()))
}

// stepOfB tells the families apart whose start-up messages have no envelope. module_names is the last of them, so what is
// missing when it is there does not come any more.
func stepOfB(topics map[string]Heard) []string {
	_, names := topics["module_names"]
	_, types := topics["error_types_map"]
	_, manifests := topics["manifests"]
	switch {
	case topics["settings"].ForwardsExceptions:
		return []string{"B4a", "B4b"}
	case types && names:
		return []string{"B2"}
	case manifests:
		return []string{"B1"}
	case types:
		return []string{"B1", "B2"}
	case names && topics["settings"].Topic != "":
		return []string{"B3"}
	}
	return []string{"B1", "B2", "B3", "B4a", "B4b"}
}
