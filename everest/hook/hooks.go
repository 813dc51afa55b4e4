// Package hook is how a fork changes what SatelliteAgent, SatelliteController and SystemAggregator do, without a change
// of their code. A fork is a main function that sets [Hooks] in the module's Config:
//
//	satellite.AgentConfig{Everest: options, Hooks: hook.Hooks{Reset: decide, Own: register, Changed: report, Alive: feed}}
//
// The examples of packages satellite and aggregator are whole forks, and doc/fork.md is the page about them. Every hook
// runs under these rules:
//
//   - A hook runs on a goroutine of its own, never on one of the module. One hook runs once at a time. Different hooks,
//     and the handlers of different commands, run in parallel.
//   - A hook may block, up to its limit: [Limit] for Reset, Own, Changed and Alive, [Hooks.CommandLimit] for a handler.
//     Its context ends at the limit, and when the module ends. A function of [Own.Go] has no limit.
//   - After the limit the module goes on without the hook: Reset counts as Proceed, a caller of a command gets an error,
//     a Change is missed. As long as the hook does not return, it is not called again. So it costs one goroutine.
//   - A panic is contained and counts as a return without a result. The function of Own.Go is not called again.
//   - The first panic and the first hang of each hook are logged, with the hook's name and the remedy. All are counted.
//   - A hook must not end the process or close what it did not open. It may keep what it is given.
//   - A hook that is nil changes nothing.
package hook

import (
	"context"
	"time"
)

// Hooks are the functions of a fork. Each may be nil. The package's comment has the rules for all of them.
type Hooks struct {
	// Reset decides whether, when and how a board is reset. It is called once for a request, and again after each
	// Postpone. SatelliteAgent asks it for its own board, SystemAggregator for the station, and SatelliteController before
	// the main board's EVerest restarts with a lost satellite. A hook that panics or exceeds Limit has decided Proceed.
	Reset func(ctx context.Context, request Reset) Verdict

	// Own registers the commands and background functions of a fork, and reads its configuration keys. Run calls it once,
	// before the module is ready. An error ends Run. Own that panics or exceeds Limit is left out, and the module goes on.
	Own func(own *Own) error
	// CommandLimit bounds each call of a handler that Own registers. The default is 30 s.
	CommandLimit time.Duration

	// Changed is called for each change of state, in their order. While it is slow, up to 256 changes wait. Further ones
	// are missed, and Change.Missed of the next one has their number.
	Changed func(change Change)

	// Alive is called about once in an AliveInterval while all loops of the module run, also under EVerest's manager. It
	// is not called while one of them hangs. So it may feed a hardware watchdog: see the example of satellite.Agent. The
	// calls begin before the module is ready. They end with Run, without a last one.
	Alive func()
	// AliveInterval is the time between two calls of Alive. The default is 5 s, the minimum 10 ms. A watchdog needs at
	// least twice that time.
	AliveInterval time.Duration
}

// Limit is how long a call of Reset, Own, Changed or Alive may take before the module goes on without its result.
const Limit = 5 * time.Second

// Kind is what a Change is about.
type Kind string

// The kinds of changes.
const (
	// Link is the link to the other board, or an aggregator's view of the link to a board.
	Link Kind = "link"
	// EVSE is the EVSE of an agent's own board, or the one that a controller stands in for.
	EVSE Kind = "evse"
	// Firmware and Logs are the progress of a firmware update or a log upload.
	Firmware Kind = "firmware"
	Logs     Kind = "logs"
	// Resets is what becomes of a request to reset a board.
	Resets Kind = "reset"
)

// Change is a new state of something.
type Change struct {
	Kind Kind
	// State is the new state, and Before the one before it, empty where it is not known:
	//
	//	Link      "up" or "down"
	//	EVSE      as in the status: "Available", "Preparing", "Charging", ... "Faulted", "Unavailable", "Unknown"
	//	Firmware  the word of firmware_update_status, such as "Downloading" or "Installed"
	//	Logs      the word of log_status, such as "Uploading" or "Uploaded"
	//	Resets    "asked", then "begun", "postponed", "refused" or "taken"
	State, Before string
	// Text explains the state where there is more to say, as the name of the handshake's state for Link. It is for people.
	Text string
	// Board is the board's name in SystemAggregator. It is empty for the station, and in the other modules.
	Board string
	// RequestID is the id of a firmware update or a log upload, and 0 otherwise.
	RequestID int64
	// At is when the change was noticed.
	At time.Time
	// Missed is how many changes before this one Changed has not got, because it was too slow or had panicked.
	Missed int
}

// Stats counts what the hooks of a module did wrong since its start.
type Stats struct {
	// Panics counts the calls that panicked. Hangs counts those that exceeded their limit. Skipped counts the calls that
	// were left out because an earlier one had not returned.
	Panics, Hangs, Skipped uint64
}
