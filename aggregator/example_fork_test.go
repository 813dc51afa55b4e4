package aggregator_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/program"
)

// A fork of the aggregator: the backend's soft resets wait for the hour of a configuration key, UTC.
func ExampleAggregator_fork() {
	module := aggregator.Installation().Extended(install.Extension{Manifest: `
config: {acme_reset_hour: {description: The hour of soft resets., type: integer, minimum: 0, maximum: 23, default: 3}}`})
	os.Exit(program.Main(os.Args[1:], module, func(ctx context.Context, options everest.Options) error {
		return aggregator.New(aggregator.Config{Everest: options, Installation: module, Hooks: nightly()}).Run(ctx)
	}))
}

func nightly() hook.Hooks {
	hour := 0
	return hook.Hooks{
		Own: func(own *hook.Own) (err error) { // called before Reset
			hour, err = hook.Key[int](own, "acme_reset_hour")
			return err
		},
		Reset: func(_ context.Context, request hook.Reset) hook.Verdict {
			if now := time.Now().UTC(); request.Type == "Soft" && now.Hour() != hour {
				next := now.Truncate(24 * time.Hour).Add(time.Duration(hour+24) * time.Hour)
				return hook.Postpone(next.Sub(now)%(24*time.Hour), fmt.Sprintf("soft resets are at %d:00 UTC", hour))
			}
			return hook.Proceed()
		},
	}
}
