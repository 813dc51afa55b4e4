package aggregator

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/install"
)

// This file is where the module calls the hooks of a fork: package everest/hook.

// registerOwn has the fork register what it has beside the module.
func registerOwn(ctx context.Context, hooks *hook.Runner, place hook.Place) error {
	known, err := install.ParseManifest(manifest)
	if err != nil {
		return err
	}
	place.Taken = slices.Concat(slices.Collect(maps.Keys(known.Provides)), slices.Collect(maps.Keys(known.Requires)))
	return hooks.Register(ctx, place)
}

// tell tells the fork of the progress of an update or an upload: that of a board, or of the station where board is empty.
func (s *station) tell(board, variable string, status report) {
	change := hook.Change{Kind: hook.Firmware, State: status.Firmware, Board: board, RequestID: status.RequestID}
	if variable == "log_status" {
		change.Kind, change.State = hook.Logs, status.Log
	}
	s.hooks.Tell(change)
}

// tellLink tells the fork of a board's link.
func (s *station) tellLink(b *board, up bool) {
	change := hook.Change{Kind: hook.Link, State: "down", Before: "up", Board: b.name}
	if up {
		change.State, change.Before = "up", "down"
	}
	s.hooks.Tell(change)
}

func resetType(arguments everest.Args) (kind string) {
	_ = arguments.Decode("type", &kind) // an unreadable one is the boards' to refuse
	return kind
}

// mayReset reports whether the station may be reset, which a backend only asks.
func (r *stationReset) mayReset(ctx context.Context, arguments everest.Args) bool {
	if !r.hooks.DecidesResets() {
		return true
	}
	return !r.hooks.Decide(ctx, hook.Reset{Cause: hook.ByStation, Type: resetType(arguments), Question: true}).IsRefuse()
}

// decide has the fork decide about a reset of the station, and begins the reset when the fork lets it. The loop calls it.
func (r *stationReset) decide(ctx context.Context, arguments everest.Args) {
	request := hook.Reset{Cause: hook.ByStation, Type: resetType(arguments)}
	if !r.hooks.DecidesResets() {
		r.hooks.Decide(ctx, request) // it only tells of the reset
		r.requested(ctx, arguments)
		return
	}
	proceed := func(_ context.Context, verdict hook.Verdict) {
		if verdict.IsProceed() {
			r.loop.post(func(ctx context.Context) { r.requested(ctx, arguments) })
		}
	}
	r.begin(ctx, func(ctx context.Context) { proceed(ctx, r.hooks.Request(ctx, request, proceed)) })
}

// decideAlone has the fork decide about a reset of one board, which an operator wants. It returns the name of a board that
// the fork resets by itself, and an error where the fork lets it wait or refuses it.
func (r *stationReset) decideAlone(ctx context.Context, b *board, kind string) (taken string, err error) {
	verdict := r.hooks.Decide(ctx, hook.Reset{Cause: hook.ByOperator, Type: kind, Board: b.name})
	switch {
	case verdict.IsTaken():
		return b.name, nil
	case verdict.IsRefuse():
		return "", &control.Reason{Text: b.name + " is not reset because the reset policy refuses it: " + verdict.Reason()}
	case verdict.IsPostpone():
		return "", &control.Reason{Text: b.name + " is not reset because the reset policy postpones it: " + verdict.Reason() +
			". Try again in " + strconv.Itoa(int(verdict.After().Seconds())) + " s."}
	}
	return "", ctx.Err()
}
