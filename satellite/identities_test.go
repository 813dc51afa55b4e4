package satellite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// What the satellite calls itself and its EVSE becomes what the controller and its EVSE are called here, in either
// dialect. The satellite's charge port has the module id "connector" and the number 1.
func TestIdentitiesOfTheMainBoard(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{dialect: dialect, answer: func(_ context.Context, call invocation) (any, error) {
				if call.Command == "get_evse" {
					return json.RawMessage(`{"connectors":[{"id":1}],"id":1}`), nil
				}
				return json.RawMessage("null"), nil
			}})
			port := s.satellite.port.module
			publish := func(id, variable, value string) {
				t.Helper()
				if err := port.Provides(id).Publish(t.Context(), variable, json.RawMessage(value)); err != nil {
					t.Fatal(err)
				}
			}
			const request = `"node_type":"Evse","schedule_export":[],"schedule_import":[],"schedule_setpoints":[]`
			for _, value := range []struct{ id, variable, sent, want string }{
				{"auth_token_provider", "provided_token", `{"authorization_type":"PlugAndCharge","connectors":[1],"id_token":{"value":"A","type":"Central"}}`,
					`{"authorization_type":"PlugAndCharge","connectors":[2],"id_token":{"value":"A","type":"Central"}}`},
				{"energy", "energy_flow_request", `{"children":[{"children":[],"uuid":"meter",` + request + `}],"uuid":"connector",` + request + `}`,
					`{"children":[{"children":[],"uuid":"connector_2/meter",` + request + `}],"uuid":"connector_2",` + request + `}`},
				{"evse_manager", "limits", `{"max_current":16.0,"nr_of_phases_available":3,"uuid":"connector"}`, `{"max_current":16.0,"nr_of_phases_available":3,"uuid":"connector_2"}`},
			} {
				publish(value.id, value.variable, value.sent)
				if got, want := receive(t, s.arrivals, value.variable), (arrival{value.id, value.variable, value.want}); got != want {
					t.Errorf("arrived %v, want %v", got, want)
				}
			}

			var evse json.RawMessage
			if err := s.main.required("evse_manager").Call(t.Context(), "get_evse", nil, &evse); err != nil || string(evse) != `{"connectors":[{"id":1}],"id":2}` {
				t.Errorf("get_evse: %s, %v", evse, err)
			}
			receive(t, s.satellite.port.calls, "get_evse")
			for _, uuid := range []string{"connector", "connector_1", "connector_2/meter", "connector_2"} {
				limits := map[string]any{"value": json.RawMessage(`{"limits_root_side":{},"schedule":[],"uuid":"` + uuid + `","valid_for":10}`)}
				var result json.RawMessage
				if err := s.main.required("energy").Call(t.Context(), "enforce_limits", limits, &result); err != nil || string(result) != "null" {
					t.Errorf("limits of %s: %s, %v", uuid, result, err)
				}
			}
			// Those of other EVSEs ended here.
			for _, want := range []string{"meter", "connector"} {
				got := receive(t, s.satellite.port.calls, "enforce_limits").Arguments["value"]
				// The link shortens valid_for by the time that limits wait for it.
				if !strings.HasPrefix(string(got), `{"limits_root_side":{},"schedule":[],"uuid":"`+want+`","valid_for":`) {
					t.Errorf("the satellite got %s, want those of %s", got, want)
				}
			}
			if more := drain(s.satellite.port.calls); len(more) > 0 {
				t.Errorf("the satellite got %v besides", more)
			}
		})
	}
}

// Errors of two origins of a satellite, both of a type that one implementation raises on the main board, arise and end
// one by one, under ids of this board, and Inoperative where Auth subscribes to it. EVerest drops the error of an origin
// that its configuration does not have when it logs at DEBUG.
func TestErrorsHaveTheOriginOfTheMainBoard(t *testing.T) {
	t.Parallel()
	events := make(chan string, 100)
	s := &station{}
	port := everesttest.FreePort(t)
	s.satellite = startSatellite(t, everesttest.NewBroker(t), satelliteOptions{port: port})
	listen := func(main *standIn) {
		order := everest.OnQueue(main.module.NewQueue("errors"))
		for _, id := range []string{"satellite", "evse_manager"} {
			main.module.Requires(id)[0].SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) {
				origin := event.Error.Origin
				mapping := "none"
				if origin.Mapping != nil {
					mapping = fmt.Sprint(origin.Mapping.EVSE)
				}
				events <- fmt.Sprintf("%s: %v %s %q of %s/%s at %s %s", id, event.Raised, event.Error.Type, event.Error.SubType,
					origin.ModuleID, origin.ImplementationID, mapping, event.Error.UUID)
			}, order)
		}
	}
	s.main = startMain(t, everesttest.NewBroker(t), port, satellite.ControllerConfig{}, listen)
	s.satellite.waitReady()
	s.main.waitReady()

	module := s.satellite.port.module
	var want []string
	for _, e := range []struct{ implementation, errorType, subType, under, translated string }{
		{"rfid_token_provider", "generic/VendorWarning", "", "satellite", "connector/rfid_token_provider"},
		{"auth_token_provider", "generic/VendorWarning", "", "satellite", "connector/auth_token_provider"},
		{"evse_manager", "evse_manager/Inoperative", "by test", "evse_manager", "by test connector/evse_manager"},
	} {
		provided := module.Provides(e.implementation)
		if err := provided.Raise(t.Context(), everest.Error{Type: e.errorType, SubType: e.subType}); err != nil {
			t.Fatal(err)
		}
		uuid := provided.ActiveErrors()[0].UUID
		if err := provided.Clear(t.Context(), e.errorType, e.subType); err != nil {
			t.Fatal(err)
		}
		for _, raised := range []bool{true, false} {
			want = append(want, fmt.Sprintf("%s: %v %s %q of connector_2/%s at 2 %s", e.under, raised, e.errorType, e.translated, e.under, uuid))
		}
	}
	var got []string
	for range want {
		got = append(got, receive(t, events, "an error"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIdentitiesThatCannotBeTranslated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		keys    map[string]any
		mapping *everest.Mapping
		want    string
	}{
		{"no mapping", nil, nil, "the EVSE of this module is not known"},
		{"verbatim", verbatim(), &everest.Mapping{EVSE: 2}, "identifiers of the satellite stay as they are"},
		{"translated", nil, &everest.Mapping{EVSE: 2}, "identifiers of the satellite become those of this module"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.InfoLevel)
			port := everesttest.FreePort(t)
			board := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{port: port})
			main := startMainMapped(t, everesttest.NewBroker(t), port, satellite.ControllerConfig{Logger: zap.New(core)}, test.keys, test.mapping, nil)
			board.waitReady()
			main.waitReady()
			found := 0
			for _, entry := range logs.All() {
				for _, other := range []string{"the EVSE of this module", "identifiers of the satellite"} {
					if len(entry.Message) >= len(other) && entry.Message[:len(other)] == other {
						found++
						if len(entry.Message) < len(test.want) || entry.Message[:len(test.want)] != test.want {
							t.Errorf("logged %q", entry.Message)
						}
					}
				}
			}
			if found != 1 {
				t.Errorf("%d lines about identifiers, want 1", found)
			}
		})
	}
}
