package satellite_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/program"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// A fork of the controller: it shows the state of the EVSE at the light of its parking space, a file that the vendor's
// LED driver reads, and lets the main board restart with a lost satellite only after ten minutes.
func ExampleController_stateChanges() {
	os.Exit(program.Main(os.Args[1:], satellite.ControllerInstallation(), run))
}

func run(ctx context.Context, options everest.Options) error {
	light := "/run/acme-light-" + options.ModuleID
	return satellite.NewController(satellite.ControllerConfig{Everest: options, Hooks: hook.Hooks{
		Changed: func(change hook.Change) {
			if change.Kind == hook.EVSE {
				if err := os.WriteFile(light, []byte(change.State+"\n"), 0o644); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			}
		},
		Reset: func(_ context.Context, request hook.Reset) hook.Verdict {
			if wait := 10*time.Minute - time.Since(request.Since); wait > 0 {
				return hook.Postpone(wait, "other EVSEs may charge")
			}
			return hook.Proceed()
		},
	}}).Run(ctx)
}
