package aggregator

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/logs"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/release"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// ocpp is the id of the requirement, and the name of its interface. OCPP is there without it.
const ocpp = "ocpp"

// ocppInterface is the part of the interface ocpp that the module uses. It counts where none is installed.
const ocppInterface = `
description: What OCPP tells of its backend.
vars:
  is_connected: {description: the backend is connected, type: boolean}
  boot_notification_response: {description: the backend has answered BootNotification, type: object}
`

// backlog passes the statuses for the backend to OCPP. OCPP forgets a status that it gets before the backend has accepted
// the station, or while the backend is not connected. Where OCPP tells of both, statuses wait until the backend hears
// them. The outbox calls its methods, but for prepare and heard.
type backlog struct {
	*station
	state   *stateFile // nil without state_dir
	waiting []waitingStatus

	registered, connected fact
	// changes counts the changes of the facts.
	changes int
	// open: the backend hears what is published.
	open bool
}

// fact is what is known of OCPP. A module that starts while OCPP runs does not know it.
type fact uint8

const (
	unknown fact = iota
	no
	yes
)

func factOf(is bool) fact {
	if is {
		return yes
	}
	return no
}

// waitingStatus is a status that OCPP does not have yet. Its JSON is a file format.
type waitingStatus struct {
	Variable string `json:"variable"`
	report
}

func (w waitingStatus) isFinal() bool {
	if end, known := logs.ParseStatus(release.Read(w.Log)); known {
		return end.IsFinal()
	}
	status, _ := firmware.ParseStatus(w.Firmware)
	return status == firmware.Installed || status.IsFailure()
}

func (w waitingStatus) sameRequest(other waitingStatus) bool {
	return w.Variable == other.Variable && w.RequestID == other.RequestID
}

// newBacklog subscribes what OCPP tells of the backend. Without the requirement nothing waits.
func newBacklog(s *station) *backlog {
	q := &backlog{station: s}
	var connections []*everest.Required
	if s.knowsOCPP {
		connections = s.module.Requires(ocpp)
	}
	if len(connections) == 0 || !tellsOfBackend(s.definitions) {
		s.log.Warn("the requirement ocpp is not connected, or OCPP is older than 2024.5: a status is lost that OCPP gets while the backend does not hear it, unless OCPP's configuration has QueueAllMessages")
		q.open = true
		return q
	}
	if s.parameters.StateDir != "" {
		q.state = &stateFile{filepath.Join(s.parameters.StateDir, s.module.ID()+".backlog.json")}
		if _, err := q.state.load(&q.waiting); err != nil {
			s.log.Error("the statuses that waited for the backend are lost", zap.Error(err))
		}
	}
	// One queue: the order of the two variables counts.
	one := everest.OnQueue(s.module.NewQueue(ocpp))
	connections[0].Subscribe("is_connected", func(_ context.Context, value json.RawMessage) {
		connected := string(value) == "true"
		s.outbox.post(func(context.Context) { q.learn(&q.connected, factOf(connected)) })
	}, one)
	connections[0].Subscribe("boot_notification_response", func(_ context.Context, value json.RawMessage) {
		var response struct{ Status string }
		if err := json.Unmarshal(value, &response); err != nil {
			s.log.Warn("a response to BootNotification cannot be read", zap.Error(err))
			return
		}
		s.outbox.post(func(context.Context) {
			if q.connected == unknown {
				q.connected = yes // it has come over the connection
			}
			q.learn(&q.registered, factOf(response.Status == "Accepted"))
		})
	}, one)
	return q
}

// tellsOfBackend reports whether the installed interface ocpp has both variables. EVerest before 2024.5 has one.
func tellsOfBackend(definitions *schema.Definitions) bool {
	known, _ := definitions.Interface(ocpp)
	return known != nil && known.Variables["is_connected"] != nil && known.Variables["boot_notification_response"] != nil
}

// heard takes it that a command of the backend has come: what is not known of OCPP is true. OCPP publishes its state only when it
// changes, and this module may have started later.
func (q *backlog) heard() {
	q.outbox.post(func(context.Context) {
		if q.open || q.registered == no || q.connected == no {
			return
		}
		q.connected = yes
		q.learn(&q.registered, yes)
	})
}

// openAfter is how long after a change the statuses are passed on, in seconds: OCPP tells of its connection a moment before it takes
// messages for it.
const openAfter = 1

func (q *backlog) learn(known *fact, now fact) {
	*known = now
	if q.registered != yes || q.connected != yes {
		if q.open {
			q.log.Info("the connection to the backend has ended: statuses wait until it is back")
		}
		q.open = false
		q.changes++
		return
	}
	if q.open {
		return
	}
	q.changes++
	changes := q.changes
	time.AfterFunc(q.duration(openAfter), func() {
		q.outbox.post(func(ctx context.Context) {
			if q.changes == changes {
				q.open = true
				q.passOn(ctx)
			}
		})
	})
}

// tell publishes a status, or lets it wait.
func (q *backlog) tell(ctx context.Context, variable string, status report) {
	if q.open && len(q.waiting) == 0 && (q.pass(ctx, waitingStatus{variable, status}) || q.state == nil) {
		return
	}
	kept, added := keep(q.waiting, waitingStatus{variable, status})
	if !added {
		return
	}
	if len(q.waiting) == 0 {
		q.log.Info("statuses wait until the backend is connected and has accepted the station")
	}
	q.waiting = kept
	q.save()
	if q.open {
		q.passOn(ctx)
	}
}

// passOn publishes what waits, in its order. A status is forgotten after that: a power cut in the wrong moment repeats one, and loses none.
func (q *backlog) passOn(ctx context.Context) {
	if len(q.waiting) == 0 {
		return
	}
	q.log.Info("the statuses that waited are told to the backend", zap.Int("statuses", len(q.waiting)))
	if q.mayBeOCPP16() || len(q.module.ModuleNames()) == 0 {
		q.waiting = withoutPending(q.waiting)
	}
	for len(q.waiting) > 0 {
		if !q.pass(ctx, q.waiting[0]) {
			return
		}
		q.waiting = q.waiting[1:]
		q.save()
	}
}

// withoutPending leaves out the status after which EVerest's OCPP 1.6 holds an update for pending, where Installed follows: Installed does not end
// that, and the next transaction's end would take all connectors out of service until OCPP restarts.
func withoutPending(waiting []waitingStatus) []waitingStatus {
	return slices.DeleteFunc(slices.Clone(waiting), func(w waitingStatus) bool {
		pending := firmware.SignatureVerified
		if w.RequestID == firmware.NoRequestID {
			pending = firmware.Downloaded
		}
		return w.Firmware == pending.Name() && slices.ContainsFunc(waiting, func(other waitingStatus) bool {
			return other.sameRequest(w) && other.Firmware == firmware.Installed.Name()
		})
	})
}

func (q *backlog) pass(ctx context.Context, status waitingStatus) bool {
	value := status.report
	if value.Log != "" {
		value.Log = q.logWord(release.Read(value.Log)) // it may have waited while EVerest was updated
	}
	return q.publishNow(ctx, status.Variable, value)
}

func (q *backlog) save() {
	if q.state == nil {
		return
	}
	save := q.state.remove
	if len(q.waiting) > 0 {
		save = func() error { return q.state.save(q.waiting) }
	}
	if err := save(); err != nil {
		q.log.Error("a status that waits for the backend would be lost by a reboot; set state_dir to a directory that can be written", zap.Error(err))
	}
}

// maxWaiting bounds what waits: an update has at most seven statuses of OCPP's order, and a backend that is away makes no request.
const maxWaiting = 100

// keep adds a status, unless it waits already: OCPP's permission is asked for by the same status again. The oldest one that is no end
// makes room, or the oldest one.
func keep(waiting []waitingStatus, status waitingStatus) (kept []waitingStatus, added bool) {
	for _, earlier := range slices.Backward(waiting) {
		switch {
		case !earlier.sameRequest(status):
		case earlier == status:
			return waiting, false
		case earlier.isFinal():
			// A request without an id, or with the same one, that came later.
			return bound(append(waiting, status)), true
		}
	}
	return bound(append(waiting, status)), true
}

func bound(waiting []waitingStatus) []waitingStatus {
	if len(waiting) <= maxWaiting {
		return waiting
	}
	i := max(0, slices.IndexFunc(waiting, func(w waitingStatus) bool { return !w.isFinal() }))
	return slices.Delete(waiting, i, i+1)
}
