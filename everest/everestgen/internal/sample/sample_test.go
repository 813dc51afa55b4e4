// Package sample_test tests the bindings below this folder, which everestgen has written from the YAML files in its
// testdata. They have every kind of type that everestgen knows, and names that are awkward in Go.
package sample_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/bindings"
	"github.com/remotechargeport/remotechargeport/everest/everestgen/internal/sample/lamp"
	"github.com/remotechargeport/remotechargeport/everest/everestgen/internal/sample/types"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

//go:generate go run ../.. -interfaces ../../testdata/interfaces -types ../../testdata/types -errors ../../testdata/errors -out .

func TestMain(m *testing.M) {
	everesttest.Patience = time.Minute // the machine may be busy
	goleak.VerifyTestMain(m)
}

const manifest = "description: a lamp\nmetadata: {license: 'https://example.org', authors: [me]}\n"

// bulb implements the generated provider.
type bulb struct{ switched chan types.LightColoursColour }

func (b bulb) Switch(_ context.Context, on bool, colour types.LightColoursColour, typeArgument lamp.SwitchType, ids bindings.List[int]) (types.LampOutcome, error) {
	if !on || typeArgument != lamp.SwitchTypeFast || len(ids) != 0 {
		return types.LampOutcome{Status: types.LampOutcomeStatusRefused}, nil
	}
	b.switched <- colour
	return types.LampOutcome{Status: types.LampOutcomeStatusDone, At: bindings.At(time.UnixMilli(1000)), Colour: &colour}, nil
}

func (b bulb) Blink(context.Context) error { return errors.New("it is broken") }

func (b bulb) Connection_2(context.Context) (json.RawMessage, error) {
	return json.RawMessage(`"plug"`), nil
}

func (b bulb) Shades(context.Context) (bindings.EnumList[types.LightColoursShade], error) {
	return []types.LightColoursShade{types.LightColoursShadeDark}, nil
}

func (b bulb) Measure(context.Context) (lamp.MeasureResult, error) {
	return lamp.MeasureResult{Watts: 60, Extra: map[string]json.RawMessage{"lux": []byte(`800`)}}, nil
}

// Two modules call each other through the bindings, with validation of all values.
func TestBindingsTalk(t *testing.T) {
	definitions, err := schema.LoadYAML(os.DirFS("../../testdata"))
	if err != nil {
		t.Fatal(err)
	}
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		manager := everesttest.NewManager(t, everesttest.ManagerConfig{
			Broker: broker, Definitions: definitions, Settings: everesttest.Settings{ValidateSchema: true},
			Modules: map[string]everesttest.ModuleConfig{
				"lamp": {Module: "Lamp", Manifest: []byte(manifest + "provides: {main: {interface: lamp, description: lamp}}")},
				"hand": {Module: "Hand", Manifest: []byte(manifest + "requires: {lamp: {interface: lamp}}"),
					Connections: map[string][]everesttest.Connection{"lamp": {{ModuleID: "lamp", ImplementationID: "main"}}}},
			},
		})
		b := bulb{make(chan types.LightColoursColour, 1)}
		var publisher lamp.Publisher
		everesttest.RunModule(t, manager.Options("lamp"), func(m *everest.Module) {
			lamp.Register(m.Provides("main"), b)
			publisher = lamp.NewPublisher(m.Provides("main"))
		})
		var client lamp.Client
		received := make(chan any, 10)
		everesttest.RunModule(t, manager.Options("hand"), func(m *everest.Module) {
			client = lamp.NewClient(m.Requires("lamp")[0])
			client.SubscribeTree(func(_ context.Context, value types.LampBranch) { received <- value })
			client.SubscribeMode(func(_ context.Context, value lamp.Mode) { received <- value })
		})
		everesttest.WaitReady(t, manager)
		ctx, cancel := context.WithTimeout(t.Context(), everesttest.Patience)
		defer cancel()

		opacity := 0.5
		red := types.LightColoursColour{Name: "red", Shade: types.LightColoursShadeDark, Opacity: &opacity, Labels: map[string]string{"de": "rot"}}
		outcome, err := client.Switch(ctx, true, red, lamp.SwitchTypeFast, nil)
		if err != nil {
			t.Fatal(err)
		}
		// A nil list arrives as an empty list.
		red.Parts = bindings.List[float64]{}
		ignoreText := cmpopts.IgnoreUnexported(bindings.Time{})
		if diff := cmp.Diff(red, <-b.switched, ignoreText); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(types.LampOutcome{Status: types.LampOutcomeStatusDone, At: bindings.At(time.UnixMilli(1000).UTC()), Colour: &red}, outcome, ignoreText); diff != "" {
			t.Error(diff)
		}
		var failed *everest.CommandError
		if err := client.Blink(ctx); !errors.As(err, &failed) || failed.Message != "it is broken" {
			t.Error(err)
		}
		if value, err := client.Connection_2(ctx); err != nil || string(value) != `"plug"` {
			t.Error(string(value), err)
		}
		if measured, err := client.Measure(ctx); err != nil || measured.Watts != 60 || string(measured.Extra["lux"]) != "800" {
			t.Error(measured, err)
		}
		// In a result, EVerest has indices.
		var shades json.RawMessage
		if err := client.Connection().Call(ctx, "shades", nil, &shades); err != nil || string(shades) != "[1]" {
			t.Error(string(shades), err)
		}
		if read, err := client.Shades(ctx); err != nil || len(read) != 1 || read[0] != types.LightColoursShadeDark {
			t.Error(read, err)
		}
		if client.Connection().ModuleID() != "lamp" {
			t.Error("connected to", client.Connection())
		}
		watts := types.LampWatts(5)
		tree := types.LampBranch{ID: 1, Children: []types.LampBranch{{ID: 2, Watts: &watts, Children: []types.LampBranch{}}}}
		if err := errors.Join(publisher.Tree(ctx, tree), publisher.Mode(ctx, lamp.Mode2ndShift), publisher.Brightness(ctx, 50)); err != nil {
			t.Fatal(err)
		}
		if err := publisher.Brightness(ctx, 101); err == nil {
			t.Error("a value out of its range is published")
		}
		got := map[bool]any{}
		for range 2 {
			select {
			case value := <-received:
				_, isMode := value.(lamp.Mode)
				got[isMode] = value
			case <-ctx.Done():
				t.Fatal(ctx.Err())
			}
		}
		if diff := cmp.Diff(map[bool]any{false: tree, true: lamp.Mode2ndShift}, got, ignoreText); diff != "" {
			t.Error(diff)
		}
	})
}

// A list of an enumeration is written as EVerest writes it: with indices inside an object, with texts as a whole value.
func TestListsOfEnumerations(t *testing.T) {
	definitions, err := schema.LoadYAML(os.DirFS("../../testdata"))
	if err != nil {
		t.Fatal(err)
	}
	shades := types.LightColoursShades{types.LightColoursShadeDark}
	for _, test := range []struct {
		variable string
		value    any
		want     string
	}{
		{"shades", shades, `["dark"]`},
		{"tree", types.LampBranch{
			ID: 1, Shades: []types.LightColoursShade{types.LightColoursShadeDark, types.LightColoursShadeLight},
			Grid:  bindings.List[bindings.EnumList[types.LightColoursShade]]{{types.LightColoursShadeDark}, nil},
			Moods: []types.LampBranchMoodsItem{types.LampBranchMoodsItemWild},
		}, `{"children":[],"id":1,"shades":[1,0],"grid":[[1],[]],"moods":[1]}`},
	} {
		encoded, err := json.Marshal(test.value)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := errors.Join(json.Unmarshal([]byte(test.want), &want), json.Unmarshal(encoded, &got)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s is written as %s (-want +got):\n%s", test.variable, encoded, diff)
		}
		if err := definitions.CheckVariable("lamp", test.variable, encoded); err != nil {
			t.Error(err)
		}
	}
	var read types.LampBranch
	const newer = `{"id":1,"children":[],"shades":["dark",0,"grey",7],"grid":[[0]]}`
	if err := json.Unmarshal([]byte(newer), &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(bindings.EnumList[types.LightColoursShade]{"dark", "light", "grey", "7"}, read.Shades); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	encoded, err := json.Marshal(read)
	if want := `{"id":1,"children":[],"shades":[1,0,"grey",7],"grid":[[0]]}`; err != nil || string(encoded) != want {
		t.Errorf("what was read is written as %s, %v, want %s", encoded, err, want)
	}
}
