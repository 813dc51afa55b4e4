package satellite

import "go.uber.org/zap"

// logLoss tells what ends with this process. Some of it the controller may have
// taken, and not acknowledged yet.
func (a *Agent) logLoss() {
	a.journalLock.Lock()
	events := a.journal.Len()
	a.journalLock.Unlock()
	logLost(a.log, "events that the controller has not acknowledged are lost with this process", events)
}

// logLoss tells what ends with this process.
func (c *Controller) logLoss() {
	logLost(c.log, "events of the satellite that are not published are lost with this process", c.delivery.len())
}

func logLost(log *zap.Logger, text string, events int) {
	if events > 0 {
		log.Warn(text, zap.Int("events_lost", events))
	}
}
