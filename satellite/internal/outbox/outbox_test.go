package outbox

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

var start = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)

// bench drives an Outbox by the lines of a script, and writes down what comes of it.
type bench struct {
	t   *testing.T
	box Outbox[string]
	ids map[string]ID
	now time.Time
	out []string
}

func (b *bench) say(format string, arguments ...any) {
	b.out = append(b.out, fmt.Sprintf(format, arguments...))
}

var fates = map[Fate]string{
	Replaced: "replaced", Cancelled: "cancelled", Expired: "expired", Overflowed: "overflowed",
	Disconnected: "disconnected", Refused: "refused", GivenUp: "given up", Discarded: "discarded",
}

func (b *bench) dropped(all []Dropped[string]) {
	for _, d := range all {
		b.say("%s %s", d.Value, fates[d.Fate])
	}
}

func (b *bench) pump() {
	for {
		step, ok, dropped := b.box.Next(b.now)
		b.dropped(dropped)
		switch {
		case !ok:
			return
		case step.Revoke:
			b.say("revoke %s", step.Value)
		default:
			b.say("send %s", step.Value)
		}
	}
}

// commands are those of the scripts, by the letters before the number in their names.
var commands = map[string]Command{
	"once":      {Interface: "evse", Name: "cancel_reservation", Rule: route.Once},
	"auth":      {Interface: "evse", Name: "authorize", Rule: route.Once},
	"withdraw":  {Interface: "evse", Name: "withdraw", Rule: route.Once, Cancels: "authorize"},
	"limit":     {Interface: "energy", Name: "limits", Rule: route.Newest, Subject: "a"},
	"otherNode": {Interface: "energy", Name: "limits", Rule: route.Newest, Subject: "b"},
	"ask":       {Interface: "evse", Name: "reserve", Rule: route.Waits, Result: true},
	"askSystem": {Interface: "system", Name: "boot_reason", Rule: route.Waits, Result: true},
	"update":    {Interface: "system", Name: "update", Rule: route.Never, Result: true},
	"reset":     {Interface: "system", Name: "reset", Rule: route.Never, SentOnce: true},
}

func (b *bench) step(line string) {
	verb, name, _ := strings.Cut(line, " ")
	id := b.ids[name]
	switch verb {
	case "add":
		command := commands[strings.TrimRight(name, "0123456789")]
		if command.Name == "authorize" {
			command.Expires = b.now.Add(15 * time.Second)
		}
		id, verdict, dropped := b.box.Add(b.now, command, name)
		b.ids[name] = id
		b.dropped(dropped)
		b.say("%s %s", name, map[Verdict]string{Send: "goes out", Keep: "is kept", Refuse: "is refused"}[verdict])
	case "up":
		b.box.Up()
	case "down":
		b.dropped(b.box.Down())
	case "lost":
		b.dropped(b.box.Lost(b.now, id))
	case "answered":
		if fate := b.box.Answered(id); fate != 0 {
			b.say("%s was revoked: %s", name, fates[fate])
		}
	case "stall":
		b.box.Stall(id)
	case "heard":
		b.box.Heard()
	case "busy":
		b.box.Busy(id)
	case "giveup":
		b.say("%s certainly not executed: %v", name, b.box.GiveUp(id))
	case "discard":
		b.dropped(b.box.Discard())
	case "wait":
		took, err := time.ParseDuration(name)
		if err != nil {
			b.t.Fatal(err)
		}
		b.now = b.now.Add(took)
	default:
		b.t.Fatalf("%q is no line of a script", line)
	}
	if verb != "busy" {
		b.pump()
	}
}

func TestOutbox(t *testing.T) {
	for name, test := range map[string]struct{ script, want string }{
		"a healthy link holds nothing up": {
			"up, add once1, add limit1, add ask1, answered limit1, add limit2, answered once1, answered ask1",
			"once1 goes out, limit1 goes out, ask1 goes out, limit2 goes out",
		},
		"commands wait for the link in their order": {
			"add once1, add withdraw1, add once2, up, answered once1, answered withdraw1, answered once2",
			"once1 is kept, withdraw1 is kept, once2 is kept, send once1, send withdraw1, send once2",
		},
		"the newest limits of each node": {
			"add limit1, add otherNode1, add limit2, add limit3, up, answered otherNode1, answered limit3",
			"limit1 is kept, otherNode1 is kept, limit1 replaced, limit2 is kept, limit2 replaced, limit3 is kept, " +
				"send otherNode1, send limit3",
		},
		"a command is kept behind one that is not answered, and goes out in order": {
			"up, add once1, stall once1, add limit1, add limit2, add once2, answered once1, answered limit2, answered once2, add limit3",
			"once1 goes out, limit1 is kept, limit1 replaced, limit2 is kept, once2 is kept, send limit2, send once2, limit3 goes out",
		},
		"an authorization is valid for a while": {
			"add auth1, wait 14s, add auth2, wait 1s, up, answered auth2",
			"auth1 is kept, auth2 is kept, auth1 expired, send auth2",
		},
		"a withdrawal takes a waiting authorization back": {
			"add auth1, add withdraw1, up",
			"auth1 is kept, auth1 cancelled, withdraw1 is kept, send withdraw1",
		},
		"a withdrawal revokes an authorization that may have arrived": {
			"up, add auth1, lost auth1, add withdraw1, up, answered auth1",
			"auth1 goes out, withdraw1 is kept, revoke auth1, send withdraw1, auth1 was revoked: cancelled",
		},
		"a lost command is sent again, before later ones": {
			"up, add once1, add once2, lost once1, lost once2, add once3, up, answered once1, answered once2",
			"once1 goes out, once2 goes out, once3 is kept, send once1, send once2, send once3",
		},
		"lost limits are not sent again after newer ones": {
			"up, add limit1, stall limit1, add limit2, lost limit1, up, answered limit1",
			"limit1 goes out, limit2 is kept, revoke limit1, send limit2, limit1 was revoked: replaced",
		},
		"a command must not be late": {
			"add update1, add reset1, up, add update2, add reset2, lost reset2, up",
			"update1 is refused, reset1 is refused, update2 goes out, reset2 goes out, reset2 disconnected",
		},
		"a command that must not be late waits on a silent link, and not longer than the link": {
			"up, add once1, stall once1, add update1, heard, add update2, answered once1, add once2, stall once2, add update3, down",
			"once1 goes out, update1 is kept, send update1, update2 goes out, once2 goes out, update3 is kept, update3 refused",
		},
		"who asks waits behind what came before in the interface, and for a sign of life": {
			"up, add once1, stall once1, add ask1, add askSystem1, heard, answered once1",
			"once1 goes out, ask1 is kept, askSystem1 is kept, send askSystem1, send ask1",
		},
		"a module that hangs on a satellite that is alive holds up its own interface only": {
			"up, add once1, stall once1, add limit1, add once2, add limit2, heard, add otherNode1, answered limit2, add limit3, lost once1, add limit4",
			"once1 goes out, limit1 is kept, once2 is kept, limit1 replaced, limit2 is kept, send limit2, otherNode1 is kept, send otherNode1, " +
				"limit3 is kept, limit3 replaced, limit4 is kept",
		},
		"a connection that ends late does not take the next one along": {
			"up, add once1, down, up, add ask1, lost once1", "once1 goes out, ask1 goes out, send once1",
		},
		"a reply is a sign of life, and so is a new connection": {
			"up, add once1, stall once1, add askSystem1, answered once1, add once2, stall once2, up, add askSystem2",
			"once1 goes out, askSystem1 is kept, send askSystem1, once2 goes out, askSystem2 goes out",
		},
		"who asked in vain certainly did so where nothing was sent": {
			"add ask1, giveup ask1, up", "ask1 is kept, ask1 certainly not executed: true",
		},
		"what may have arrived is revoked": {
			"up, add ask1, lost ask1, giveup ask1, up, lost ask1, up, answered ask1",
			"ask1 goes out, ask1 certainly not executed: false, revoke ask1, revoke ask1, ask1 was revoked: given up",
		},
		"what is given up on its way is revoked only where its connection is lost": {
			"up, add ask1, giveup ask1, lost ask1, up",
			"ask1 goes out, ask1 certainly not executed: false, revoke ask1",
		},
		"an isolated link drops all": {
			"up, add once1, lost once1, add once2, add ask1, discard, up",
			"once1 goes out, once2 is kept, ask1 is kept, once1 discarded, once2 discarded, ask1 discarded",
		},
		"what the connection does not take is sent at the next reply": {
			"up, add once1, add once2, busy once2, add once3, answered once1, answered once2",
			"once1 goes out, once2 goes out, once3 is kept, send once2, send once3",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{t: t, ids: map[string]ID{}, now: start}
			b.box.Resumable = true
			for line := range strings.SplitSeq(test.script, ", ") {
				b.step(line)
			}
			if diff := cmp.Diff(strings.Split(test.want, ", "), b.out); diff != "" {
				t.Errorf("came of it (-want +got):\n%s", diff)
			}
		})
	}
}

// A link that cannot be resumed sends nothing twice.
func TestOutboxOfALinkThatEndsWithItsConnection(t *testing.T) {
	b := &bench{t: t, ids: map[string]ID{}, now: start}
	for line := range strings.SplitSeq("up, add once1, add ask1, stall once1, add once2, lost once1, lost ask1, up", ", ") {
		b.step(line)
	}
	want := []string{"once1 goes out", "ask1 goes out", "once2 is kept", "once1 disconnected", "ask1 disconnected", "send once2"}
	if diff := cmp.Diff(want, b.out); diff != "" {
		t.Errorf("came of it (-want +got):\n%s", diff)
	}
}

// The oldest command that was never sent makes room.
func TestOutboxIsBounded(t *testing.T) {
	for name, command := range map[string]Command{
		"commands": {Interface: "a", Name: "b", Rule: route.Once, Size: 1},
		"bytes":    {Interface: "a", Name: "b", Rule: route.Once, Size: MaxBytes / 10},
	} {
		t.Run(name, func(t *testing.T) {
			var box Outbox[int]
			most := min(MaxCommands, MaxBytes/command.Size)
			for i := range most {
				if _, verdict, dropped := box.Add(start, command, i); verdict != Keep || len(dropped) > 0 {
					t.Fatalf("command %d: verdict %d, dropped %v", i, verdict, dropped)
				}
			}
			for i := range 3 {
				_, verdict, dropped := box.Add(start, command, most+i)
				if diff := cmp.Diff([]Dropped[int]{{i, Overflowed}}, dropped); diff != "" || verdict != Keep {
					t.Errorf("verdict %d, dropped (-want +got):\n%s", verdict, diff)
				}
			}
			if count, bytes := box.Waiting(); count != most || bytes > MaxBytes {
				t.Errorf("%d commands of %d bytes wait, want %d commands", count, bytes, most)
			}
		})
	}
	var box Outbox[int]
	box.Add(start, Command{Rule: route.Once}, 1)
	_, verdict, dropped := box.Add(start, Command{Rule: route.Once, Size: MaxBytes + 1}, 2)
	if diff := cmp.Diff([]Dropped[int]{{2, Overflowed}}, dropped); diff != "" || verdict != Refuse {
		t.Errorf("a command larger than the outbox: verdict %d, dropped (-want +got):\n%s", verdict, diff)
	}
}
