package satellite

import (
	"encoding/json"
	"slices"

	"github.com/remotechargeport/remotechargeport/everest"
)

// activeErrors are the errors that are active on the satellite, oldest first.
type activeErrors []everest.ErrorEvent

// apply follows an error that was raised or cleared.
func (a *activeErrors) apply(event everest.ErrorEvent) {
	*a = slices.DeleteFunc(*a, func(other everest.ErrorEvent) bool { return sameError(other.Error, event.Error) })
	if event.Raised {
		*a = append(*a, event)
	}
}

// encode writes them as the value of an event.
func (a activeErrors) encode() json.RawMessage {
	list := json.RawMessage("[")
	for i, event := range a {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, event.Raw...)
	}
	return append(list, ']')
}

// sameError compares what EVerest identifies an error by.
func sameError(a, b everest.Error) bool {
	return a.Type == b.Type && a.SubType == b.SubType &&
		a.Origin.ModuleID == b.Origin.ModuleID && a.Origin.ImplementationID == b.Origin.ImplementationID
}

// recordError keeps an error that was raised or cleared.
func (a *Agent) recordError(event everest.ErrorEvent) {
	happened := Event{Error: event.Raw, Raised: event.Raised}
	a.control.tell(happened)
	a.journalLock.Lock()
	a.active.apply(event)
	a.recordLocked(happened)
}

// recordActive tells the controller which errors are active now, so that it
// can clear what it still has of before. A list that waits is replaced.
func (a *Agent) recordActive() {
	a.journalLock.Lock()
	a.recordLocked(Event{Active: a.active.encode(), NewestOnly: true})
}

// resumed is told when a controller comes back, before it is answered.
func (a *Agent) resumed() {
	select {
	case <-a.met:
		a.status.resumes.Add(1)
		a.recordActive()
	default: // the set follows when both have agreed
	}
}
