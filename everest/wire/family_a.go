package wire

import (
	"encoding/json"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// A3 is the family of EVerest 2024.6 to 2024.10, and A2 that of 2024.5. Modules and the manager read the same files, and
// the manager publishes nothing but the global ready. The topics are shorter than those of later families:
//
//	meter_1/ready                                  true
//	meter_1/main/var                               {"data":{...},"name":"powermeter"}
//	meter_1/main/cmd                               calls and their results
//	meter_1/main/error/generic/VendorError         an error that is raised
//	meter_1/main/error-cleared/generic/VendorError an error that is cleared
//
// A reply cannot carry an error. A C++ module is deaf before its own ready, and handles no command then. The objects of
// errors in A2 have no vendor_id, and none has a mapping before 2024.7. Readers of these releases ignore what they do not
// know, so what is written is the object of later releases.
//
// A1 is the family of 2024.3 and 2024.4. There the manager clears the errors of modules, and an error object without the
// member "from" ends it. A module asks for a clear, and the manager publishes it:
//
//	request-clear-error {"data":{"error_id":UUID,...,"request-clear-type":"ClearUUID"},"name":"request-clear-error","type":"call"}
var (
	stepA1 = step{name: "A1", has: []Capability{ConfigFiles}, noStart: true, noArguments: true, errorByTopic: true, managerClears: true}
	stepA2 = step{name: "A2", has: []Capability{ConfigFiles}, noStart: true, noArguments: true, errorByTopic: true}
	stepA3 = step{name: "A3", has: []Capability{ConfigFiles}, noStart: true, noArguments: true, errorByTopic: true}
)

// newA returns a family of EVerest 2024.3 to 2024.10. What distinguishes its topics from those of a family B is only
// where the ids of a module and of an implementation are:
//
//	A  everest/meter_1/main/cmd
//	B  everest/modules/meter_1/impl/main/cmd
//
// So a module of a family A has no topic in common with those of the others, except the global ready. That one has no
// envelope, so the families C and D drop it.
func newA(step *step) func(prefix string) Family {
	return func(prefix string) Family { return &bare{step, prefix, prefix, "/"} }
}

func (b *bare) SettingsTopic() string     { return b.startTopic("settings") }
func (b *bare) ModuleNamesTopic() string  { return b.startTopic("module_names") }
func (b *bare) ManagerStartTopic() string { return b.startTopic(b.lastTopic) }

// startTopic returns nothing in a family A, whose manager publishes nothing at its start.
func (b *bare) startTopic(name string) string {
	if b.noStart {
		return ""
	}
	return b.prefix + name
}

// errorOfA1 returns the object with the member "from", or the request to clear it. Both name the implementation on whose
// topic the error is, since the manager publishes the clear there.
func (b *bare) errorOfA1(implementation string, raise bool, object json.RawMessage) []byte {
	module, id, _ := strings.Cut(strings.TrimPrefix(implementation, b.root), b.infix)
	from := append([]byte(`{"implementation":`), rawjson.AppendString(nil, id)...)
	from = append(from, `,"module":`...)
	from = append(rawjson.AppendString(from, module), '}')
	uuid := ""
	completed, err := rawjson.Complete(object, []rawjson.Member{{Name: "from", Value: from}}, func(member rawjson.Member) json.RawMessage {
		switch member.Name {
		case "from":
			return from
		case "uuid":
			uuid = rawjson.String(member.Value)
		}
		return nil
	})
	switch {
	case err != nil:
		return object
	case raise:
		return completed
	}
	request := append([]byte(`{"data":{"error_id":`), rawjson.AppendString(nil, uuid)...)
	request = append(request, `,"origin":`...)
	request = append(request, from...)
	request = append(request, `,"request-clear-type":"ClearUUID","request-id":`...)
	request = rawjson.AppendString(request, requestID+uuid)
	return append(request, `},"name":"request-clear-error","type":"call"}`...)
}

// requestID is the start of the id of a request to clear an error. The error's UUID follows.
const requestID = "clear-"

func (b *bare) ClearTopic() string {
	if b.managerClears {
		return b.prefix + "request-clear-error"
	}
	return ""
}

func (*bare) ReadCleared(payload []byte) (uuid string, ok bool) {
	var answer struct {
		Type string `json:"type"`
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if json.Unmarshal(payload, &answer) != nil || answer.Type != "result" {
		return "", false
	}
	return strings.CutPrefix(answer.Data.ID, requestID)
}

// withOrigin adds the member "origin" of later families to an error object of family A1.
func withOrigin(object json.RawMessage) (json.RawMessage, error) {
	members, err := rawjson.Members(object)
	if err != nil {
		return nil, err
	}
	var from struct {
		Module         string `json:"module"`
		Implementation string `json:"implementation"`
	}
	for _, member := range members {
		if member.Name == "from" {
			if err := json.Unmarshal(member.Value, &from); err != nil {
				return nil, err
			}
		}
	}
	origin := append([]byte(`{"implementation_id":`), rawjson.AppendString(nil, from.Implementation)...)
	origin = append(origin, `,"module_id":`...)
	origin = append(rawjson.AppendString(origin, from.Module), '}')
	return rawjson.Complete(object, []rawjson.Member{{Name: "origin", Value: origin}}, func(rawjson.Member) json.RawMessage { return nil })
}
