package main

import (
	"context"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// satelliteBoard is a board with a charge port. Its SatelliteAgent offers the port
// to the main board.
type satelliteBoard struct {
	config BoardConfig
	report *Reporter
	play   *standin.SatelliteBoard
}

func newSatelliteBoard(config BoardConfig, known *schema.Definitions, report *Reporter, account standin.Account) (*satelliteBoard, error) {
	play, err := standin.NewSatelliteBoard(known, account, config.Satellite, config.Speed)
	return &satelliteBoard{config: config, report: report, play: play}, err
}

// modules have the ids that they have in the recordings.
func (b *satelliteBoard) modules() []board.Module {
	// Each satellite numbers its EVSE by itself. The mapping of its controller has the number in the station.
	mapping := &everesttest.ModuleMapping{Module: &everest.Mapping{EVSE: 1}}
	return []board.Module{
		{ID: "connector", Run: standin.RunUnchecked(b.play.Port), Config: standin.Config("EvseManager", mapping, nil)},
		{ID: "powerpath", Run: standin.RunUnchecked(b.play.BoardSupport), Config: standin.Config("BoardSupport", mapping, nil)},
		{ID: "rfid", Run: standin.RunUnchecked(b.play.TokenReader), Config: standin.Config("TokenReader", mapping, map[string][]everesttest.Connection{
			"auth": board.To("remote_controller", "auth"),
		})},
		{ID: "system", Run: standin.Run(b.play.System), Config: standin.Config("System", nil, nil)},
		{ID: "remote_controller", Config: everesttest.ModuleConfig{
			Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest,
			Config: map[string]any{"port": b.config.Ports[0], "listen_address": board.Address, "control_socket": b.config.controlSocket("remote_controller")},
			Connections: map[string][]everesttest.Connection{
				"evse_manager":        board.To("connector", "evse"),
				"energy":              board.To("connector", "energy_grid"),
				"auth_token_provider": board.To("connector", "token_provider"),
				"uk_random_delay":     board.To("connector", "random_delay"),
				"dc_external_derate":  board.To("connector", "dc_external_derate"),
				"rfid_token_provider": board.To("rfid", "main"),
				"system":              board.To("system", "main"),
			},
		}, Run: func(ctx context.Context, options everest.Options) error {
			return linkModule{Board: b.config, Satellite: b.config.Satellite}.run(ctx, b.report, options)
		}},
	}
}

func (b *satelliteBoard) obey(ctx context.Context, do Do) error {
	if do != DoPlay {
		return nil
	}
	if err := b.play.Play(ctx); err != nil {
		return err
	}
	b.report.Report(Report{Kind: KindPlayed, Satellite: b.config.Satellite})
	return nil
}

// beside ends the board when its system module was asked for a reset.
func (b *satelliteBoard) beside(ctx context.Context) error { return b.play.AwaitReset(ctx) }
