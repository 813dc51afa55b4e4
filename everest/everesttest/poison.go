package everesttest

import "strings"

// PoisonPayloads returns payloads that no module may publish and every module must survive: each of them ends or confuses
// some process of some release of EVerest. Broken ones come first, then those of each kind of message with something missing.
func PoisonPayloads() [][]byte {
	payloads := []string{
		"", " ", "null", "true", "3", `"text"`, "[]", "[1]", "{", "{}", "}", "no JSON", "\x00", "\xff\xfe", "{\"msg_type\":\"Var\xff\"}",
		`{"data":true}`, `{"msg_type":null}`, `{"msg_type":3,"data":true}`, `{"msg_type":["Var"],"data":true}`, `{"msg_type":"Unknown","data":true}`,
		`{"msg_type":"","data":{}}`, `{"msg_type":"GlobalReady"}`, `{"msg_type":"GlobalReady","data":"yes"}`, `{"msg_type":"GlobalReady","data":false}`,
		`{"msg_type":"ModuleReady","data":1}`, `{"msg_type":"GetConfigResponse"}`, `{"msg_type":"GetConfigResponse","data":3}`,
		`{"msg_type":"GetConfigResponse","data":{"status":3}}`, `{"msg_type":"GetConfigResponse","data":{"status":"Ok","type":"Get","response":7}}`,
		`{"msg_type":"GetConfigResponse","data":{"status":"Ok","type":"Get","response":{"type":"Module","data":null}}}`,
		strings.Repeat("[", 100_000), `{"a":` + strings.Repeat(`{"a":`, 50_000),
	}
	for _, messageType := range []string{"Var", "Cmd", "CmdResult", "RaiseError", "ClearError", "ExternalMQTT", "Heartbeat", "GetConfig"} {
		for _, data := range []string{"", `,"data":null`, `,"data":3`, `,"data":"text"`, `,"data":[]`, `,"data":{}`, `,"data":{"data":{}}`, `,"data":{"type":"result","data":{"id":3}}`,
			`,"data":{"id":3,"origin":4,"args":5}`, `,"data":{"type":3,"state":[],"origin":"x"}`} {
			payloads = append(payloads, `{"msg_type":"`+messageType+`"`+data+`}`)
		}
	}
	poison := make([][]byte, len(payloads))
	for i, payload := range payloads {
		poison[i] = []byte(payload)
	}
	return poison
}
