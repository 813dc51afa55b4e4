package wire

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// newD returns the family of main from August 2026 on. It differs from family C in the msg_type of the manager's config
// service and retained topics, and in telemetry, which is the JSON text itself. Neither family's processes survive the
// msg_type of the other:
//
//	config/request           {"data":{...},"msg_type":"ConfigurationRequest"}
//	modules/meter_1/response {"data":{...},"msg_type":"ConfigurationResponse"}
//
// Its manager also answers a module that it does not know, with the status "Error" and without a type.
func newD(prefix string) Family { return FamilyC{Prefix: prefix, isD: true} }

// The values of msg_type of family D that are not those of family C.
const (
	typeConfigurationRequest  = "ConfigurationRequest"
	typeConfigurationResponse = "ConfigurationResponse"
)

// envelope and the other writers put keys in alphabetical order, as the C++ framework does.
func envelope(kind string, data []byte) []byte {
	out := make([]byte, 0, len(data)+len(kind)+len(`{"data":,"msg_type":""}`))
	out = append(out, `{"data":`...)
	out = append(out, data...)
	out = append(out, `,"msg_type":"`...)
	out = append(out, kind...)
	return append(out, `"}`...)
}

// readData returns the data of a message of one of the wanted types, and its type.
func readData(payload []byte, wanted ...string) (data json.RawMessage, kind string, err error) {
	m := openEnvelope(payload)
	for m.toData() {
		data = m.Value()
	}
	if kind, err = m.close(wanted...); err != nil {
		return nil, "", err
	}
	return data, kind, nil
}

// envelopeReader reads an envelope in one pass, whatever the order of its members.
type envelopeReader struct {
	rawjson.Reader
	kind    json.RawMessage // the value of msg_type
	hasData bool
}

func openEnvelope(payload []byte) envelopeReader {
	m := envelopeReader{Reader: rawjson.NewReader(payload)}
	m.Object()
	return m
}

// toData stops before the value of the next member "data". It returns false at the end of the envelope.
func (m *envelopeReader) toData() bool {
	for {
		name, ok := m.Next()
		switch {
		case !ok:
			return false
		case string(name) == "data":
			m.hasData = true
			return true
		}
		if value := m.Value(); string(name) == "msg_type" {
			m.kind = value
		}
	}
}

// close returns the type of the message, or an error for an invalid message.
func (m *envelopeReader) close(wanted ...string) (kind string, err error) {
	if err := m.Close(); err != nil {
		return "", err
	}
	if m.kind == nil {
		return "", errors.New("no msg_type")
	}
	for _, kind := range wanted {
		if len(m.kind) == len(kind)+2 && string(m.kind[1:len(m.kind)-1]) == kind {
			if !m.hasData {
				return "", errors.New("no data")
			}
			return kind, nil
		}
	}
	return "", fmt.Errorf("msg_type is %.40s, not %s", m.kind, wanted[0])
}
