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

// mainBoard is the board with OCPP, Auth and the energy manager. It has a
// SatelliteController for each satellite.
type mainBoard struct {
	config BoardConfig
	report *Reporter
	play   *standin.MainBoard
}

func newMainBoard(config BoardConfig, known *schema.Definitions, report *Reporter, account standin.Account) (*mainBoard, error) {
	play, err := standin.NewMainBoard(known, account, len(config.Ports), config.Speed)
	return &mainBoard{config: config, report: report, play: play}, err
}

func (b *mainBoard) modules() []board.Module {
	// toEach connects the satellites in their order, so that the position of a
	// connection is the satellite's number.
	toEach := func(implementation string) []everesttest.Connection {
		var connections []everesttest.Connection
		for i := range b.config.Ports {
			connections = append(connections, board.To(standin.ControllerID(i+1), implementation)...)
		}
		return connections
	}
	modules := []board.Module{
		{ID: "auth", Run: standin.Run(b.play.Auth), Config: standin.Config("Auth", nil, map[string][]everesttest.Connection{
			"evse_manager": toEach("evse_manager"), "token_validator": board.To("ocpp", "auth_validator"),
		})},
		{ID: "energy_manager", Run: standin.Run(b.play.EnergyManager), Config: standin.Config("EnergyManager", nil, map[string][]everesttest.Connection{
			"energy": toEach("energy"),
		})},
		{ID: "ocpp", Run: standin.Run(b.play.OCPP), Config: standin.Config("OCPP", nil, map[string][]everesttest.Connection{
			"evse_manager": toEach("evse_manager"),
		})},
		// api subscribes everything: what it receives has arrived.
		{ID: "api", Run: standin.Run(b.play.API), Config: standin.Config("API", nil, map[string][]everesttest.Connection{
			"evse_manager": toEach("evse_manager"), "energy": toEach("energy"), "satellite": toEach("satellite"),
		})},
		{ID: "system", Run: standin.Run(b.play.System), Config: standin.Config("System", nil, nil)},
	}
	for i, port := range b.config.Ports {
		modules = append(modules, b.controller(i+1, port))
	}
	return modules
}

// controller is the charge port of a satellite, as the main board sees it.
func (b *mainBoard) controller(number, port int) board.Module {
	// The campaign of this station kills boards, and expects both to start afresh.
	keys := map[string]any{"hostname": board.Address, "port": port, "on_loss": "restart", "control_socket": b.config.controlSocket(standin.ControllerID(number))}
	if b.config.LinkTimeout > 0 {
		keys["link_timeout_ms"] = b.config.LinkTimeout.Milliseconds()
		// Longer than any outage of -flap: each command gets the satellite's answer.
		keys["command_wait_ms"] = 10_000
	}
	return board.Module{
		ID: standin.ControllerID(number),
		Config: everesttest.ModuleConfig{
			Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest, Config: keys,
			Mapping:     &everesttest.ModuleMapping{Module: &everest.Mapping{EVSE: standin.EVSE(number)}},
			Connections: map[string][]everesttest.Connection{"auth": board.To("auth", "main"), "system": board.To("system", "main")},
		},
		Run: func(ctx context.Context, options everest.Options) error {
			return linkModule{Board: b.config, Satellite: number}.run(ctx, b.report, options)
		},
	}
}

func (b *mainBoard) obey(ctx context.Context, do Do) error {
	switch do {
	case DoPlay:
		b.play.Call(ctx)
	case DoFinish:
		b.play.Finish(ctx)
		b.report.Report(Report{Kind: KindFinished})
	}
	return nil
}

func (b *mainBoard) beside(context.Context) error { return nil }
