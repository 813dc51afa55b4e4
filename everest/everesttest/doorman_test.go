package everesttest_test

import (
	"context"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/bindings/authtokenprovider"
	"github.com/remotechargeport/remotechargeport/everest/bindings/evsemanager"
	"github.com/remotechargeport/remotechargeport/everest/bindings/types"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

const doormanManifest = `
description: Pauses charging when the owner's card is read
metadata: {license: https://opensource.org/licenses/Apache-2.0, authors: [you]}
config:
  owner: {description: The number of the owner's card, type: string}
requires:
  reader: {interface: auth_token_provider}
  port: {interface: evse_manager}
`

// runDoorman is a whole module.
func runDoorman(ctx context.Context, options everest.Options) error {
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer module.Close()
	var config struct {
		Owner string `everest:"owner"`
	}
	if err := module.DecodeConfig(&config); err != nil {
		return err
	}
	reader, port := authtokenprovider.NewClient(module.Requires("reader")[0]), evsemanager.NewClient(module.Requires("port")[0])
	reader.SubscribeProvidedToken(func(ctx context.Context, token types.AuthorizationProvidedIdToken) {
		if token.IDToken.Value == config.Owner {
			if _, err := port.PauseCharging(ctx); err != nil {
				module.Fail(err)
			}
		}
	})
	return module.Run(ctx)
}

func TestDoorman(t *testing.T) {
	station := everesttest.NewStation(t, everesttest.StationConfig{Manifest: []byte(doormanManifest), Config: map[string]any{"owner": "4711"}}, runDoorman)
	for _, card := range []string{"0815", "4711"} {
		token := types.AuthorizationIdToken{Value: card, Type: types.AuthorizationIdTokenTypeISO14443}
		station.Fake("reader").Publish("provided_token", types.AuthorizationProvidedIdToken{IDToken: token, AuthorizationType: types.AuthorizationTypeRFID})
	}
	station.Expect(everesttest.Called("port", "pause_charging", nil))
	if events := station.Events(); len(events) != 1 {
		t.Errorf("more than one card pauses charging: %v", events)
	}
}
