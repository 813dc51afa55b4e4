package satellite

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

const (
	// firstYear is the year before which a clock was never set: a board without a battery starts in 1970, or in the year
	// of its image.
	firstYear = 2024
	// clockTimeout bounds the command that sets a clock.
	clockTimeout = 30 * time.Second
)

// clockTolerance returns by how much the satellite's clock may be off, 0 for any time.
func (p controllerParameters) clockTolerance() time.Duration {
	if p.ClockTolerance == nil {
		return 2 * time.Second
	}
	return time.Duration(*p.ClockTolerance) * time.Second
}

// isClockOff reports whether a clock has to be set that is ahead of this board's. within is how exactly that is known.
func isClockOff(own time.Time, ahead, within, tolerance time.Duration) bool {
	if tolerance <= 0 || own.UTC().Year() < firstYear {
		return false
	}
	return ahead > tolerance+within || ahead < -tolerance-within
}

// compareClocks sets the satellite's clock to this board's where it is off. It does not wait for the satellite.
func (c *Controller) compareClocks() {
	ahead, within, known := c.link.Load().PeerClock()
	if !known || !isClockOff(time.Now(), ahead, within, c.parameters.clockTolerance()) {
		return
	}
	c.background.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), clockTimeout)
		defer cancel()
		now := strconv.Quote(time.Now().UTC().Format("2006-01-02T15:04:05.000Z"))
		result := c.forward.callSatellite(ctx, route.System, "set_system_time", everest.Args{"timestamp": json.RawMessage(now)})
		if string(result) != "true" {
			c.log.Warn("the satellite's clock is off, and its system does not set it", zap.Duration("ahead", ahead))
			return
		}
		c.log.Info("the satellite's clock was off and is set to this board's", zap.Duration("ahead", ahead))
	})
}
