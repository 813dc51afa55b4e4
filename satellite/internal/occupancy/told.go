package occupancy

import (
	"bytes"
	"encoding/json"
	"slices"
)

// maxTold is how many commands are kept. The oldest is forgotten firsr.
const maxTold = 16

// externalReady is the command that lets an EvseManager begin that waits for ir.
const externalReady = "external_ready_to_start_charging"

// said has the commands that OCPP calls once in its life, or whose effect outlives them, in the order in which they are
// called again.
var said = []string{"set_plug_and_charge_configuration", "enable_disable", "update_allowed_energy_transfer_modes"}

// reminders are what the main board said to the EVSE, to be said again to a satellite that has not heard ir.
type reminders struct {
	// ready: external_ready_to_start_charging was called.
	ready    bool
	commands []command // the oldest first
}

type command struct {
	name      string
	arguments map[string]json.RawMessage
	// missed: the satellite was out of service.
	missed bool
}

// record keeps a command in place of the one that it overrides.
func (r *reminders) record(e Told, now state) {
	if e.Command == externalReady {
		r.ready = true
		return
	}
	if !slices.Contains(said, e.Command) {
		return
	}
	kept := command{name: e.Command, arguments: make(map[string]json.RawMessage, len(e.Arguments)), missed: now == outOfService || now == returning}
	size := 0
	for name, value := range e.Arguments {
		size += len(name) + len(value)
		kept.arguments[name] = bytes.Clone(value)
	}
	if size > maxKept {
		return
	}
	r.commands = slices.DeleteFunc(r.commands, func(old command) bool { return old.slot() == kept.slot() })
	if len(r.commands) == maxTold {
		r.commands = slices.Delete(r.commands, 0, 1)
	}
	r.commands = append(r.commands, kept)
}

// slot names what a command overrides. EvseManager keeps one state for each source of enable_disable.
func (c command) slot() string {
	if c.name != "enable_disable" {
		return c.name
	}
	return c.name + " " + string(c.arguments["connector_id"]) + " " + string(member(c.arguments["cmd_source"], "enable_source"))
}

// repeat calls the commands again: all of them where the satellite restarted, else those that it missed.
func (r *reminders) repeat(all bool, act func(Action)) {
	for _, name := range said {
		for i := range r.commands {
			if c := &r.commands[i]; c.name == name && (all || c.missed) {
				c.missed = false
				act(Call{c.name, c.arguments})
			}
		}
	}
}

// begin lets an EvseManager begin that waits, if it was called before.
func (r *reminders) begin(act func(Action)) {
	if r.ready {
		act(Call{Command: externalReady})
	}
}
