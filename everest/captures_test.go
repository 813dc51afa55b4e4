package everest

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// recordedStation is what a real manager and two C++ modules, peer_1 and caller, have sent.
func recordedStation(t *testing.T, name string) []Message {
	t.Helper()
	file, err := os.Open("wire/testdata/" + name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var messages []Message
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var row struct{ Topic, Payload string }
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, Message{Topic: row.Topic, Payload: []byte(row.Payload)})
	}
	return messages
}

// recordedManager answers a module with the recorded configuration and the global ready.
func recordedManager(w wire.Family, module string, messages []Message) func(Message) []Message {
	return func(message Message) []Message {
		wanted := ""
		switch message.Topic {
		case w.ConfigRequestTopic(module):
			wanted = w.ConfigResponseTopic(module)
		case w.ModuleReadyTopic(module):
			wanted = w.GlobalReadyTopic()
		}
		i := slices.IndexFunc(messages, func(m Message) bool { return m.Topic == wanted })
		if i < 0 {
			return nil
		}
		return messages[i : i+1]
	}
}

// idOf is the id in a message of a command.
func idOf(payload []byte) string {
	_, after, _ := strings.Cut(string(payload), `"id":"`)
	id, _, _ := strings.Cut(after, `"`)
	return id
}

var recordedStations = map[string]string{"b1": "B1", "b2": "B2", "b4a": "B4a"}

// A Go module in the place of the C++ caller calls with the same bytes, and takes all that the C++ peer has sent.
func TestCallsARecordedModule(t *testing.T) {
	for name, family := range recordedStations {
		t.Run(family, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				messages := recordedStation(t, name)
				release, _ := wire.Find(family)
				w := release.New("everest/")
				manager := recordedManager(w, "caller", messages)
				hub := &memoryHub{}
				hub.answer = func(message Message) []Message {
					id := idOf(message.Payload)
					for i, recorded := range messages {
						if recorded.Topic == message.Topic && id != "" && strings.ReplaceAll(string(recorded.Payload), idOf(recorded.Payload), id) == string(message.Payload) &&
							strings.Contains(string(message.Payload), `"call"`) {
							return []Message{{Topic: messages[i+1].Topic, Payload: []byte(strings.ReplaceAll(string(messages[i+1].Payload), idOf(recorded.Payload), id))}}
						}
					}
					return manager(message)
				}
				m := connectMemory(t, hub, func(o *Options) { o.ModuleID, o.Wire = "caller", family })
				peer := m.Requires("peer")[0]
				values, events := make(chan json.RawMessage, 10), make(chan ErrorEvent, 10)
				peer.Subscribe("tick", func(_ context.Context, value json.RawMessage) { values <- value })
				peer.SubscribeErrors(func(_ context.Context, event ErrorEvent) { events <- event })
				running(t, m)
				var said string
				if err := peer.Call(t.Context(), "echo", map[string]string{"text": "hello"}, &said); err != nil || said != "hello!" {
					t.Errorf("echo: %q, %v", said, err)
				}
				var nothing any
				if err := peer.Call(t.Context(), "note", nil, &nothing); err != nil || nothing != nil {
					t.Errorf("note: %v, %v", nothing, err)
				}
				raised, cleared := 0, 0
				for _, message := range messages {
					if strings.Contains(message.Topic, "/var") || strings.Contains(message.Topic, "/error") && !strings.Contains(message.Topic, "error_") {
						hub.deliver(message)
					}
				}
				if value := <-values; string(value) != "12" {
					t.Errorf("tick %s", value)
				}
				for range 4 {
					event := <-events
					if event.Raised {
						raised++
					} else {
						cleared++
					}
					if event.Error.Type != "example/ExampleErrorA" || *event.Error.Origin.Mapping.Connector != 2 {
						t.Errorf("%+v", event)
					}
				}
				synctest.Wait()
				if raised != 2 || cleared != 2 || len(peer.ActiveErrors()) != 0 {
					t.Errorf("%d raised, %d cleared, active %+v", raised, cleared, peer.ActiveErrors())
				}
			})
		})
	}
}

// A Go module in the place of the C++ peer answers with the same bytes.
func TestAnswersARecordedModule(t *testing.T) {
	for name, family := range recordedStations {
		t.Run(family, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				messages := recordedStation(t, name)
				release, _ := wire.Find(family)
				w := release.New("everest/")
				hub := &memoryHub{answer: recordedManager(w, "peer_1", messages)}
				m := connectMemory(t, hub, func(o *Options) { o.ModuleID, o.Wire = "peer_1", family })
				var config struct {
					Name  string  `everest:"name"`
					Num   int     `everest:"num"`
					Ratio float64 `everest:"ratio"`
					Flag  bool    `everest:"flag"`
				}
				if err := m.DecodeConfig(&config); err != nil || config.Name != "Peer eins" || config.Num != 33 || config.Ratio != 4 || !config.Flag {
					t.Errorf("%+v, %v", config, err)
				}
				main := m.Provides("main")
				Handle(main, "echo", func(_ context.Context, arguments struct{ Text string }) (string, error) {
					return arguments.Text + "!", nil
				})
				main.Handle("note", func(context.Context, Args) (any, error) { return nil, nil })
				running(t, m)
				answered := 0
				for i, message := range messages {
					if !strings.Contains(string(message.Payload), `"type":"call"`) {
						continue
					}
					hub.deliver(message)
					synctest.Wait()
					if want := string(messages[i+1].Payload); !slices.Contains(hub.on(message.Topic), want) {
						t.Errorf("answered %s, not %s", hub.on(message.Topic), want)
					}
					answered++
				}
				if answered != 2 {
					t.Errorf("%d calls answered", answered)
				}
				if err := main.Publish(t.Context(), "tick", 12); err != nil || !slices.Contains(hub.on("everest/modules/peer_1/impl/main/var"), `{"data":12,"name":"tick"}`) {
					t.Errorf("tick: %v", err)
				}
			})
		})
	}
}
