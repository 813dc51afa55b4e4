package outbox

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// sentCommand is what the world knows of one command.
type sentCommand struct {
	Command
	id ID
	// onWay reports whether the command, or its revocation, is on the connection. revoking tells which.
	onWay, revoking bool
	sends, runs     int
	// barred reports whether the satellite has agreed not to begin it. over reports whether the outbox has let it go.
	barred, over bool
	// detached reports whether its caller was answered before the reply. certain reports whether the caller was told
	// that it is not executed, gaveUp whether the caller was told anything negative.
	detached, certain, gaveUp bool
	// slow reports whether the satellite was heard of since it was stalled.
	stalled, slow bool
}

// world is an outbox, a connection that may be cut at any time, and a satellite that executes a number once.
type world struct {
	t        *rapid.T
	box      Outbox[*sentCommand]
	now      time.Time
	up       bool
	commands []*sentCommand
}

func (w *world) dropped(all []Dropped[*sentCommand]) {
	for _, d := range all {
		if d.Value.over {
			w.t.Fatalf("command %d ends twice", d.Value.id)
		}
		d.Value.over = true
		if d.Fate != Disconnected && d.Fate != Discarded && d.Value.sends > 0 && d.Value.runs == 0 && !d.Value.barred && d.Value.onWay {
			w.t.Fatalf("command %d is dropped as %d while it is on its way", d.Value.id, d.Fate)
		}
	}
}

// sentNow follows a command that goes out.
func (w *world) sentNow(c *sentCommand) {
	c.sends++
	switch {
	case !w.up:
		w.t.Fatalf("command %d is sent without a connection", c.id)
	case c.onWay:
		w.t.Fatalf("command %d is sent while it is on its way", c.id)
	case c.gaveUp:
		w.t.Fatalf("command %d is sent after its negative answer", c.id)
	case c.over:
		w.t.Fatalf("command %d is sent after its end", c.id)
	case !c.Expires.IsZero() && !w.now.Before(c.Expires):
		w.t.Fatalf("command %d is sent after its validity", c.id)
	case c.sends > 1 && (!w.box.Resumable || c.SentOnce):
		w.t.Fatalf("command %d is sent twice", c.id)
	}
	for _, other := range w.commands {
		switch {
		case other.id == c.id || other.over:
		case other.Interface != c.Interface && w.hangs(other.Interface):
		case other.id < c.id && !c.Result && !other.Result && !other.revoking && (c.detached || other.detached):
			w.t.Fatalf("command %d overtakes command %d", c.id, other.id)
		case other.id < c.id && c.Result && !other.Result && !other.revoking && other.detached && other.Interface == c.Interface:
			w.t.Fatalf("command %d, with a result, overtakes command %d", c.id, other.id)
		case other.id > c.id && c.Rule == route.Newest && other.Name == c.Name && other.Subject == c.Subject:
			w.t.Fatalf("command %d is sent, and %d is newer", c.id, other.id)
		}
	}
	c.onWay, c.revoking = true, false
}

// hangs reports whether a module of the satellite hangs.
func (w *world) hangs(name string) bool {
	return slices.ContainsFunc(w.commands, func(c *sentCommand) bool { return c.slow && c.onWay && c.Interface == name })
}

// heard reports a sign of life.
func (w *world) heard() {
	if !w.up {
		return
	}
	w.box.Heard()
	for _, c := range w.commands {
		c.slow = c.stalled
	}
	w.pump()
}

func (w *world) pump() {
	for {
		step, ok, dropped := w.box.Next(w.now)
		w.dropped(dropped)
		if !ok {
			break
		}
		if c := step.Value; step.Revoke {
			if c.onWay || c.sends == 0 || c.over {
				w.t.Fatalf("command %d is revoked: %+v", c.id, c)
			}
			c.onWay, c.revoking = true, true
		} else {
			w.sentNow(c)
		}
	}
	if count, bytes := w.box.Waiting(); count > MaxCommands || bytes > MaxBytes+w.lostBytes() {
		w.t.Fatalf("%d commands of %d bytes wait", count, bytes)
	}
}

// lostBytes returns the size of commands that were sent: they may come back beyond the bound.
func (w *world) lostBytes() (bytes int) {
	for _, c := range w.commands {
		if c.sends > 0 && !c.over {
			bytes += c.Size
		}
	}
	return bytes
}

// run lets the satellite execute what is on its way.
func (w *world) run(c *sentCommand) {
	switch {
	case !c.onWay || c.barred || c.runs > 0:
	case c.revoking:
		c.barred = true
	case c.certain:
		w.t.Fatalf("command %d runs although its caller was told that it does not", c.id)
	default:
		c.runs++
	}
}

func (w *world) pick(label string, fit func(*sentCommand) bool) *sentCommand {
	var fitting []*sentCommand
	for _, c := range w.commands {
		if !c.over && fit(c) {
			fitting = append(fitting, c)
		}
	}
	if len(fitting) == 0 {
		w.t.Skip("none")
	}
	return rapid.SampledFrom(fitting).Draw(w.t, label)
}

func onWay(c *sentCommand) bool { return c.onWay }

func (w *world) answer(c *sentCommand) {
	w.run(c)
	c.onWay, c.over = false, true
	w.box.Answered(c.id)
	w.pump()
}

func (w *world) cut() {
	for _, c := range w.commands {
		if c.onWay {
			c.onWay, c.stalled, c.slow = false, false, false
			c.detached = c.detached || !c.Result
			w.dropped(w.box.Lost(w.now, c.id))
		}
	}
	w.up = false
	w.dropped(w.box.Down())
	w.pump()
}

func (w *world) add() {
	names := []string{"once", "auth", "withdraw", "limit", "otherNode", "ask", "askSystem", "update", "reset"}
	command := commands[rapid.SampledFrom(names).Draw(w.t, "command")]
	command.Size = rapid.SampledFrom([]int{1, 1, 1, MaxBytes / 3}).Draw(w.t, "size")
	if command.Name == "authorize" || command.Rule == route.Newest {
		command.Expires = w.now.Add(time.Duration(rapid.IntRange(1, 15).Draw(w.t, "validity")) * time.Second)
	}
	c := &sentCommand{Command: command}
	id, verdict, dropped := w.box.Add(w.now, command, c)
	c.id = id
	switch verdict {
	case Send:
		w.dropped(dropped)
		w.commands = append(w.commands, c)
		w.sentNow(c)
		return
	case Keep:
		c.detached = !command.Result && command.Rule != route.Never
		w.commands = append(w.commands, c)
	}
	w.dropped(dropped)
	w.pump()
}

func TestOutboxProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, now: start}
		w.box.Resumable = rapid.Bool().Draw(t, "resumable")
		t.Repeat(map[string]func(*rapid.T){
			"add": func(*rapid.T) { w.add() },
			"connect": func(*rapid.T) {
				if !w.up {
					w.up = true
					w.box.Up()
					w.pump()
				}
			},
			"cut":    func(*rapid.T) { w.cut() },
			"run":    func(*rapid.T) { w.run(w.pick("run", onWay)) },
			"answer": func(*rapid.T) { w.answer(w.pick("answer", onWay)) },
			"stall": func(*rapid.T) {
				c := w.pick("stall", func(c *sentCommand) bool { return c.onWay && !c.Result && !c.revoking })
				c.detached, c.stalled = true, true
				w.box.Stall(c.id)
			},
			"heard": func(*rapid.T) { w.heard() },
			"give up": func(*rapid.T) {
				c := w.pick("give up", func(c *sentCommand) bool { return !c.gaveUp && !c.detached })
				c.certain = w.box.GiveUp(c.id)
				c.gaveUp, c.detached = true, true
				if c.certain {
					if c.runs > 0 || c.onWay {
						t.Fatalf("command %d is certainly not executed, and is: %+v", c.id, c)
					}
					c.over = true
				}
				w.pump()
			},
			"wait": func(*rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms")) * time.Millisecond)
				w.pump()
			},
			"discard": func(*rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "one of ten") == 0 {
					w.cut()
					w.dropped(w.box.Discard())
				}
			},
		})
		// A link that stays lets everything out.
		if !w.up {
			w.up = true
			w.box.Up()
			w.pump()
		}
		for range 10 * len(w.commands) {
			w.heard()
			for _, c := range w.commands {
				if c.onWay {
					w.answer(c)
				}
			}
		}
		for _, c := range w.commands {
			switch {
			case !c.over:
				t.Fatalf("command %d has no end: %+v", c.id, c)
			case c.runs > 1:
				t.Fatalf("command %d ran %d times", c.id, c.runs)
			}
		}
		if count, bytes := w.box.Waiting(); count != 0 || bytes != 0 || len(w.box.items) != 0 {
			t.Fatalf("%d commands of %d bytes wait, and %d are kept", count, bytes, len(w.box.items))
		}
	})
}
