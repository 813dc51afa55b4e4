package satellite

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/occupancy"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// This file is where both modules call the hooks of a fork: package everest/hook.

// registerOwn has the fork register what it has beside the module. standard is the installation without the fork.
func registerOwn(ctx context.Context, hooks *hook.Runner, standard install.Installation, place hook.Place, extras []string) error {
	known, err := install.ParseManifest(standard.Manifest)
	if err != nil {
		return err
	}
	place.Taken = slices.Concat(slices.Collect(maps.Keys(known.Provides)), slices.Collect(maps.Keys(known.Requires)), extras)
	return hooks.Register(ctx, place)
}

// definitionsWith returns what has the built-in definitions, with the interfaces of an installation.
func definitionsWith(installation install.Installation) func() (*schema.Definitions, error) {
	return func() (*schema.Definitions, error) {
		known, err := Definitions()
		if err != nil {
			return nil, err
		}
		return installation.Definitions(known)
	}
}

// stateChanges tells the fork of changed states. The zero value tells of none.
type stateChanges struct {
	hooks *hook.Runner
	// up is the last state of the link, and belongs to the link's loop.
	up bool
}

// linkUp and linkDown are the states of a link.
const (
	linkUp   = "up"
	linkDown = "down"
)

// link follows a state of the handshake. Only the link's loop calls it.
func (s *stateChanges) link(state handshake.State) {
	up := state == handshake.Agreed || state == handshake.Working
	if up == s.up {
		return
	}
	s.up = up
	change := hook.Change{Kind: hook.Link, State: linkDown, Before: linkUp, Text: state.Name()}
	if up {
		change.State, change.Before = linkUp, linkDown
	}
	s.hooks.Tell(change)
}

// evse follows the state of the EVSE. It is what a View calls.
func (s *stateChanges) evse(before, state control.EVSEState) {
	s.hooks.Tell(hook.Change{Kind: hook.EVSE, State: string(state), Before: string(before)})
}

// progress follows an event of the satellite that reports the progress of an update or an upload.
func (s *stateChanges) progress(event link.Event) {
	if event.Kind != link.Variable || event.Interface != route.System || !s.hooks.HearsChanges() {
		return
	}
	var report struct {
		RequestID int64  `json:"request_id"`
		Firmware  string `json:"firmware_update_status"`
		Logs      string `json:"log_status"`
	}
	if json.Unmarshal(event.Value, &report) != nil {
		return
	}
	switch {
	case event.Name == "firmware_update_status" && report.Firmware != "":
		s.hooks.Tell(hook.Change{Kind: hook.Firmware, State: report.Firmware, RequestID: report.RequestID})
	case event.Name == "log_status" && report.Logs != "":
		s.hooks.Tell(hook.Change{Kind: hook.Logs, State: report.Logs, RequestID: report.RequestID})
	}
}

// mayReset reports whether the main board may reset this board, which only asks.
func (b *satelliteBoard) mayReset(ctx context.Context, arguments everest.Args) bool {
	if !b.hooks.DecidesResets() {
		return true
	}
	return !b.hooks.Decide(ctx, hook.Reset{Cause: hook.ByMainBoard, Type: resetType(arguments), Question: true}).IsRefuse()
}

func resetType(arguments everest.Args) (kind string) {
	_ = arguments.Decode("type", &kind) // an unreadable one is the board's to refuse
	return kind
}

// decideReset decides about the command that resets this board. A postponed one is carried out later, by this board.
func (a *Agent) decideReset(ctx context.Context, arguments everest.Args) link.ResetDecision {
	request := hook.Reset{Cause: hook.ByMainBoard, Type: resetType(arguments)}
	verdict := a.hooks.Request(ctx, request, func(ctx context.Context, verdict hook.Verdict) { a.resetLater(ctx, verdict, arguments) })
	switch {
	case verdict.IsProceed():
		return link.ResetExecuted
	case verdict.IsTaken():
		a.board.updates.ResetAsked()
		return link.ResetTaken
	}
	return link.ResetKept
}

// resetLater carries out what was decided about a postponed reset.
func (a *Agent) resetLater(ctx context.Context, verdict hook.Verdict, arguments everest.Args) {
	switch {
	case verdict.IsRefuse():
		return
	case a.board.updates.Flashing():
		a.log.Warn("the board is being flashed: it is not reset")
		return
	case verdict.IsTaken():
		a.board.updates.ResetAsked()
	default:
		ctx, cancel := context.WithTimeout(ctx, laterResetTimeout)
		defer cancel()
		if err := a.board.resetWith(ctx, arguments); err != nil {
			// EVerest's System may end itself instead of replying.
			a.log.Warn("the reply to a postponed reset of this board is missing", zap.Error(err))
		}
	}
	a.link.Load().ResetForwarded()
}

// laterResetTimeout bounds the call that carries out a postponed reset.
const laterResetTimeout = 30 * time.Second

// askReset decides about a reset that the handshake wants.
func (a *Agent) askReset(ctx context.Context, reason handshake.Reason) handshake.ResetAnswered {
	verdict := a.hooks.Decide(ctx, hook.Reset{Cause: hook.ByLinkLoss, Text: reason.String()})
	if verdict.IsTaken() {
		a.board.updates.ResetAsked()
	}
	return handshake.ResetAnswered{Allowed: verdict.IsProceed(), Taken: verdict.IsTaken(), Again: verdict.After()}
}

// reset resets this board because of a loss. A fork that was not asked hears of it.
func (a *Agent) reset(ctx context.Context) error {
	if !a.hooks.DecidesResets() {
		a.hooks.Decide(ctx, hook.Reset{Cause: hook.ByLinkLoss})
	}
	return a.board.reset(ctx)
}

// awaitRestart holds the end of a controller whose satellite is lost, which restarts the main board's EVerest, until the
// fork lets it go. Meanwhile the EVSE is out of service.
func (c *Controller) awaitRestart(ctx context.Context, reason handshake.Reason) {
	if !c.hooks.DecidesResets() {
		return
	}
	text := "the link to the satellite at " + c.target.String() + " has ended: " + reason.String()
	verdict := c.hooks.Await(ctx, hook.Reset{Cause: hook.ByLinkLoss, Text: text}, func() {
		if err := c.evse.step(ctx, occupancy.Lost{Reason: text, At: time.Now()}); err != nil {
			c.log.Error("what the main board has to know of its EVSE cannot be published", zap.Error(err))
		}
	})
	if verdict.IsTaken() {
		select {
		case <-time.After(time.Minute):
		case <-ctx.Done():
		}
	}
}
