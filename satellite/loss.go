package satellite

import "go.uber.org/zap"

// logLoss tells what ends with this process. Some of it the controller may have
// taken, and not acknowledged yet.
func (a *Agent) logLoss() {
	a.journalLock.Lock()
	events := a.journal.Len()
	a.journalLock.Unlock()
	if events > 0 {
		a.log.Warn("events that the controller has not acknowledged are lost with this process", zap.Int("events_lost", events))
	}
}

// logLoss tells what ends with this process.
func (c *Controller) logLoss() {
	if events := c.delivery.len(); events > 0 {
		c.log.Warn("events of the satellite that are not published are lost with this process", zap.Int("events_lost", events))
	}
}
