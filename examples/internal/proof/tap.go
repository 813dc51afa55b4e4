package proof

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// hlcID is the module id of the satellite's module for ISO 15118.
const hlcID = "hlc"

// tap is a connection to the satellite's broker beside the probe. It sees the commands that a module gets and ignores, and
// can publish for DummyV2G, which itself publishes nothing.
type tap struct {
	recorder *everesttest.Recorder
	limits   string // the topic of the limits for the EvseManager
	own      string
}

func startTap(ctx context.Context, broker everest.Broker, own string) (*tap, error) {
	limits := "everest/modules/" + own + "/impl/energy_grid/cmd/enforce_limits"
	recorder, err := everesttest.StartRecorder(ctx, broker, limits, hlcTopic("cmd/+"))
	if err != nil {
		return nil, err
	}
	return &tap{recorder, limits, own}, nil
}

// hlcTopic returns a topic of DummyV2G.
func hlcTopic(rest string) string { return "everest/modules/" + hlcID + "/impl/main/" + rest }

// foreign returns the number of limits that have reached the EvseManager and are not for it. EvseManager ignores them
// without a sign.
func (t *tap) foreign() int {
	foreign := 0
	for _, message := range t.recorder.OnTopic(t.limits) {
		var limits struct {
			Value struct {
				UUID string `json:"uuid"`
			} `json:"value"`
		}
		if json.Unmarshal(arguments(message), &limits) != nil || limits.Value.UUID != t.own {
			foreign++
		}
	}
	return foreign
}

// arguments returns those of a command's message.
func arguments(message everesttest.Message) json.RawMessage {
	var call struct {
		Data struct {
			Args json.RawMessage `json:"args"`
		} `json:"data"`
	}
	if json.Unmarshal(message.Payload, &call) != nil {
		return nil
	}
	return call.Data.Args
}

// publish publishes a variable of DummyV2G, as a car would cause it.
func (t *tap) publish(ctx context.Context, variable string, value any) error {
	payload, err := json.Marshal(map[string]any{"msg_type": "Var", "data": map[string]any{"data": value}})
	if err != nil {
		return err
	}
	return t.recorder.Publish(ctx, everesttest.Message{Topic: hlcTopic("var/" + variable), Payload: payload, QoS: 2})
}

// called waits until EvseManager has called a command of DummyV2G with arguments that match, after the first seen messages.
func (t *tap) called(ctx context.Context, seen int, command string, match func(json.RawMessage) bool) (json.RawMessage, error) {
	var found json.RawMessage
	_, err := t.recorder.Wait(ctx, func(messages []everesttest.Message) bool {
		for _, message := range messages[seen:] {
			if strings.HasSuffix(message.Topic, "/cmd/"+command) && match(arguments(message)) {
				found = arguments(message)
				return true
			}
		}
		return false
	})
	return found, err
}
