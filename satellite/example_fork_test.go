package satellite_test

import (
	"context"
	"os"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/program"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// A fork of the agent: a command, a variable and a configuration key of its own, and a policy for resets.
func ExampleAgent_fork() {
	module := satellite.AgentInstallation().Extended(install.Extension{
		Manifest: `config: {acme_lamp_s: {description: For how long the lamp is lit., type: integer, default: 30}}
provides: {acme_lamp: {interface: acme_lamp, description: The lamp of the board.}}`,
		Interfaces: map[string]string{"acme_lamp": `description: A lamp.
cmds: {light: {description: Lights the lamp.}}
vars: {lit_s: {description: For how long the lamp is lit., type: integer}}`}})
	hooks := hook.Hooks{Own: register, Reset: func(_ context.Context, request hook.Reset) hook.Verdict {
		if request.Cause == hook.ByMainBoard && request.Type == "Soft" {
			return hook.Postpone(time.Minute, "the lamp may be lit")
		}
		return hook.Proceed()
	}}
	os.Exit(program.Main(os.Args[1:], module, func(ctx context.Context, options everest.Options) error {
		return satellite.NewAgent(satellite.AgentConfig{Everest: options, Installation: module, Hooks: hooks}).Run(ctx)
	}))
}

func register(own *hook.Own) error {
	seconds, err := hook.Key[int](own, "acme_lamp_s")
	own.Handle("acme_lamp", "light", func(ctx context.Context, _ everest.Args) (any, error) {
		return nil, own.Publish(ctx, "acme_lamp", "lit_s", seconds)
	})
	return err
}
