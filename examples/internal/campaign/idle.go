//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
	"github.com/remotechargeport/remotechargeport/examples/internal/usage"
)

// settleTime is how long the boards run before the measurement, so that it leaves out their start.
const settleTime = 5 * time.Second

// measureIdle measures what a link costs without traffic.
func (c *campaign) measureIdle(ctx context.Context) error {
	port, _ := c.port.alive()
	main, _ := c.main.alive()
	if port == nil || main == nil {
		return errors.New("a board is not up")
	}
	if err := recording.Sleep(ctx, settleTime); err != nil {
		return context.Cause(ctx)
	}
	processes := []*process{port.module, main.module}
	var before []usage.Usage
	packets, bytes, err := c.network.passed()
	if err != nil {
		return err
	}
	for _, process := range processes {
		used, err := usage.Of(process.command.Process.Pid)
		if err != nil {
			return err
		}
		before = append(before, used)
	}
	start := time.Now()
	if err := recording.Sleep(ctx, c.flags.Idle); err != nil {
		return context.Cause(ctx)
	}
	took := time.Since(start).Seconds()
	fmt.Fprintln(c.output, "| process | CPU, % of a core | user, ms | system, ms | wake-ups/s | resident, MiB | of it its own, MiB | threads |\n|---|---|---|---|---|---|---|---|")
	for i, process := range processes {
		after, err := usage.Of(process.command.Process.Pid)
		if err != nil {
			return err
		}
		user, system := after.User-before[i].User, after.System-before[i].System
		fmt.Fprintf(c.output, "| %s | %.2f | %d | %d | %.1f | %.1f | %.1f | %d |\n", filepath.Base(process.command.Path),
			100*(user+system).Seconds()/took, user.Milliseconds(), system.Milliseconds(), float64(after.Switches-before[i].Switches)/took,
			float64(after.Resident)/1024, float64(after.Own)/1024, after.Threads)
	}
	packetsAfter, bytesAfter, err := c.network.passed()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.output, "\nin %.0f s; on the link %.1f packets/s, %.0f bytes/s\n", took, float64(packetsAfter-packets)/took, float64(bytesAfter-bytes)/took)
	return nil
}
