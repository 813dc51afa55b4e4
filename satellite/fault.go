package satellite

import (
	"context"

	"github.com/remotechargeport/remotechargeport/everest"
)

// communicationFault is raised on `satellite` while the port is out of service, or
// cannot be connected to.
const communicationFault = "generic/CommunicationFault"

// fault raises and clears a communication fault of one sub type, in turn with the
// satellite's events.
type fault struct {
	subType  string
	provided *everest.Provided
	// addTask has something done after the events before it are published.
	addTask func(func(context.Context))
	// raiseFailed and clearFailed follow a broker that does not take it.
	raiseFailed, clearFailed func(error)
}

func (f *fault) raise(message string) {
	f.addTask(func(ctx context.Context) {
		raised := everest.Error{Type: communicationFault, SubType: f.subType, Severity: everest.SeverityHigh, Message: message}
		if err := f.provided.Raise(ctx, raised); err != nil {
			f.raiseFailed(err)
		}
	})
}

func (f *fault) clear() {
	f.addTask(func(ctx context.Context) {
		if err := f.provided.Clear(ctx, communicationFault, f.subType); err != nil {
			f.clearFailed(err)
		}
	})
}
