package everesttest

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
)

func texts(messages []Message) []string {
	var payloads []string
	for _, message := range messages {
		payloads = append(payloads, string(message.Payload))
	}
	return payloads
}

// receiveAll returns what the peer receives until the text "end".
func (p *peer) receiveAll(t *testing.T) []string {
	t.Helper()
	var heard []string
	for {
		text := string(p.receive(t).Payload)
		if text == "end" {
			return heard
		}
		heard = append(heard, text)
	}
}

// Every fault on either side of the broker: the sender notices nothing, the receiver gets what the fault leaves of the
// message.
func TestFaults(t *testing.T) {
	ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		for _, side := range []string{"sender", "receiver"} {
			t.Run(side, func(t *testing.T) {
				proxy := NewProxy(t, broker)
				from, to, match := broker, proxy.Address(), ToClient
				if side == "sender" {
					from, to, match = proxy.Address(), broker, FromClient
				}
				topic := "faults/" + side
				sender, receiver := dialPeer(t, from), dialPeer(t, to, topic+"/#")
				sayAll := func() {
					t.Helper()
					for qos := range byte(3) {
						for _, text := range []string{"a", "b"} {
							if err := sender.publish(t.Context(), topic+"/x", qos, false, []byte(text)); err != nil {
								t.Fatal(err)
							}
						}
					}
					sender.send(t, topic+"/end", "end")
				}
				lost := proxy.Drop(5, match("/x"))
				sayAll()
				if diff := cmp.Diff([]string{"b"}, receiver.receiveAll(t)); diff != "" || lost.Hits() != 5 {
					t.Error("drop", diff, lost.Hits())
				}
				twice := proxy.Duplicate(0, match("/x"))
				sayAll()
				heard := receiver.receiveAll(t)
				slices.Sort(heard)
				if diff := cmp.Diff([]string{"a", "a", "a", "a", "a", "a", "b", "b", "b", "b", "b", "b"}, heard); diff != "" {
					t.Error("duplicate", diff)
				}
				twice.Lift()
				late := proxy.Hold(2, match("/x"))
				sayAll()
				if diff := cmp.Diff([]string{"a", "b", "a", "b"}, receiver.receiveAll(t)); diff != "" {
					t.Error("hold", diff)
				}
				late.Lift()
				sender.send(t, topic+"/end", "end")
				if heard := receiver.receiveAll(t); !slices.Equal(heard, []string{"a", "b"}) {
					t.Error("lift", heard)
				}
				sayAll()
				if heard := receiver.receiveAll(t); len(heard) != 6 {
					t.Error("after all", heard)
				}
			})
		}
	})
}

func TestProxyStall(t *testing.T) {
	ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		proxy := NewProxy(t, broker)
		receiver, sender := dialPeer(t, proxy.Address(), "stall/x"), dialPeer(t, broker, "stall/x")
		proxy.Stall(true)
		sender.send(t, "stall/x", "1")
		sender.receive(t)
		select {
		case m := <-receiver.inbox:
			t.Errorf("a stalled client receives %s", m.Payload)
		default:
		}
		proxy.Stall(false)
		if got := string(receiver.receive(t).Payload); got != "1" {
			t.Errorf("heard %s", got)
		}
	})
}

func TestProxyCutAndRefuse(t *testing.T) {
	ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		proxy := NewProxy(t, broker)
		client := dialPeer(t, proxy.Address())
		proxy.Cut()
		<-client.lost
		client = dialPeer(t, proxy.Address())
		proxy.Refuse(true)
		<-client.lost
		if w, err := dialBroker(t.Context(), proxy.Address(), "refused", func(Message) {}); err == nil {
			w.stop()
			t.Error("connected through a proxy with Refuse(true)")
		}
		proxy.Refuse(false)
		dialPeer(t, proxy.Address()).send(t, "cut/x", "1")
		published := slices.IndexFunc(proxy.Packets(), func(p Packet) bool {
			return p.FromClient && p.Type == "PUBLISH" && p.Topic == "cut/x" && p.QoS == 2 && string(p.Payload) == "1"
		})
		if published < 0 {
			t.Errorf("no such packet among %+v", proxy.Packets())
		}
	})
}

func TestCheckMessage(t *testing.T) {
	const raise = `{"data":{"description":"","message":"","origin":{"implementation_id":"main","module_id":"p"},"severity":"High","state":"Active","sub_type":"","timestamp":"2026-11-22T10:32:38.363Z","type":"a/B","uuid":"1","vendor_id":"everest"},"msg_type":"RaiseError"}`
	for _, test := range []struct{ topic, payload, want string }{
		{"e/modules/p/impl/main/var/v", `{"data":{"data":1},"msg_type":"Var"}`, ""},
		{"e/modules/p/impl/main/var/v", `{"data":{},"msg_type":"Var"}`, "data is missing"},
		{"e/modules/p/impl/main/var/v", `{"msg_type":"Var"}`, "no data"},
		{"e/modules/p/impl/main/var/v", `{"data":{"data":1},"msg_type":"Cmd"}`, `msg_type is "Cmd"`},
		{"e/modules/p/impl/main/var/v", `{"data":{"data":1},"msg_type":"Value"}`, "unknown type"},
		{"e/modules/p/impl/main/var/v", `x`, "not a JSON object"},
		{"e/modules/p/impl/main/var/v", "{\"data\":{\"data\":\"\xff\"},\"msg_type\":\"Var\"}", "UTF-8"},
		{"e/modules/p/impl/main/var/v", `{"data":{"data":"` + strings.Repeat("x", everest.MaxPacketSize) + `"},"msg_type":"Var"}`, "more than a peer can receive"},
		{"e/modules/p/impl/main/cmd/c", `{"data":{"id":"1","origin":"q","args":null},"msg_type":"Cmd"}`, ""},
		{"e/modules/p/impl/main/cmd/c", `{"data":{"id":"1","origin":"q","args":[]},"msg_type":"Cmd"}`, "cannot unmarshal array"},
		{"e/modules/p/impl/main/cmd/c", `{"data":{"id":"","origin":"q","args":{}},"msg_type":"Cmd"}`, "id or origin is empty"},
		{"e/modules/p/impl/main/cmd/c", `{"data":{"id":"1","args":{}},"msg_type":"Cmd"}`, "origin is missing"},
		{"e/modules/p/impl/main/cmd/c/response/q", `{"data":{"data":{"id":"1","origin":"p","retval":null},"type":"result"},"msg_type":"CmdResult"}`, ""},
		{"e/modules/p/impl/main/cmd/c/response/q", `{"data":{"data":{"id":"1","origin":"p"},"type":"result"},"msg_type":"CmdResult"}`, "retval is missing"},
		{"e/modules/p/impl/main/cmd/c/response/q", `{"data":{"data":{"id":"1","origin":"q","retval":1},"type":"result"},"msg_type":"CmdResult"}`, `origin "q"`},
		{"e/modules/p/impl/main/cmd/c/response/q", `{"data":{"data":{"id":"1","origin":"p","error":{"__everest__error_type":"NotReady","__everest__error_msg":""}},"type":"result"},"msg_type":"CmdResult"}`, ""},
		{"e/modules/p/impl/main/cmd/c/response/q", `{"data":{"data":{"id":"1","origin":"p","error":{"__everest__error_type":"Own","__everest__error_msg":""}},"type":"result"},"msg_type":"CmdResult"}`, "error {"},
		{"e/modules/p/impl/main/error/a/B", raise, ""},
		{"e/modules/p/impl/main/error/a/C", raise, `type is "a/B"`},
		{"e/modules/p/impl/main/error/a/B", strings.Replace(raise, "High", "Huge", 1), `severity is "Huge"`},
		{"e/modules/p/impl/main/error/a/B", strings.Replace(raise, "Active", "On", 1), `state is "On"`},
		{"e/modules/p/impl/main/error/a/B", strings.Replace(raise, ".363Z", "Z", 1), "timestamp is"},
		{"e/modules/p/impl/main/error/a/B", strings.Replace(raise, `"uuid":"1",`, "", 1), "uuid is missing"},
		{"e/modules/p/impl/main/error/a/B", strings.Replace(raise, `"module_id"`, `"module"`, 1), "module_id is missing"},
		{"e/modules/p/ready", `{"data":true,"msg_type":"ModuleReady"}`, ""},
		{"e/modules/p/ready", `{"data":1,"msg_type":"ModuleReady"}`, "cannot unmarshal number"},
		{"e/config/request", `{"data":{"type":"Get","origin":"p","request":{}},"msg_type":"GetConfig"}`, ""},
		{"e/shutdown", `true`, ""},
		{"elsewhere", `x`, ""},
	} {
		err := CheckMessage("e/", Message{Topic: test.topic, Payload: []byte(test.payload), QoS: 2})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s %.80s: error %v, want %q", test.topic, test.payload, err, test.want)
		}
	}
	if err := CheckMessage("e/", Message{Topic: "e/modules/p/ready", Payload: []byte(`{"data":true,"msg_type":"ModuleReady"}`), QoS: 2, Retained: true}); err == nil {
		t.Error("a retained message passes")
	}
	if err := CheckMessage("e/", Message{Topic: "e/modules/p/ready", Payload: []byte(`{"data":true,"msg_type":"ModuleReady"}`)}); err == nil {
		t.Error("QoS 0 passes")
	}
	for _, payload := range PoisonPayloads() {
		if err := CheckMessage("e/", Message{Topic: "e/modules/p/impl/main/error/a/B", Payload: payload, QoS: 2}); err == nil {
			t.Errorf("poison passes: %.80s", payload)
		}
	}
}

func TestSubjectOf(t *testing.T) {
	for topic, want := range map[string]Subject{
		"e/modules/p/impl/main/var/v":              {Kind: KindVariable, ModuleID: "p", ImplementationID: "main", Name: "v"},
		"e/modules/p/impl/main/cmd/c":              {Kind: KindCommand, ModuleID: "p", ImplementationID: "main", Name: "c"},
		"e/modules/p/impl/main/cmd/c/response/q":   {Kind: KindReply, ModuleID: "p", ImplementationID: "main", Name: "c", Caller: "q"},
		"e/modules/p/impl/main/error/ns/Name":      {Kind: KindError, ModuleID: "p", ImplementationID: "main", Name: "ns/Name"},
		"e/modules/p/ready":                        {Kind: KindReady, ModuleID: "p"},
		"e/modules/p/impl/main/cmd/c/response/q/r": {Kind: kindOther},
		"e/modules/p/impl/main":                    {Kind: kindOther},
		"e/ready":                                  {Kind: kindOther},
		"other/modules/p/ready":                    {Kind: kindOther},
	} {
		if got := SubjectOf("e/", topic); got != want {
			t.Errorf("%s: %+v, want %+v", topic, got, want)
		}
	}
}

func TestRecorder(t *testing.T) {
	ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		recorder := NewRecorder(t, broker, "r/#")
		for _, text := range []string{"1", "2", "3"} {
			if err := recorder.Publish(t.Context(), Message{Topic: "r/" + text, Payload: []byte(text), QoS: 2}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := recorder.Wait(t.Context(), func(messages []Message) bool { return len(messages) == 3 }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"1", "2", "3"}, texts(recorder.Messages())); diff != "" {
			t.Error(diff)
		}
		if message, err := recorder.WaitTopic(t.Context(), "r/2"); err != nil || string(message.Payload) != "2" {
			t.Error(message, err)
		}
		if got := texts(recorder.OnTopic("r/3")); len(got) != 1 {
			t.Error(got)
		}
		recorder.Reset()
		recorder.Close()
		if left := recorder.Messages(); len(left) != 0 {
			t.Error(texts(left))
		}
	})
}
