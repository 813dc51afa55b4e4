package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

// watchCommand shows events.
type watchCommand struct {
	Module []string `arg:"" optional:"" help:"Modules to watch. Default: all that can be reached."`
	Only   []string `placeholder:"PATTERN" help:"Show only variables that match, such as evse_manager.powermeter or evse_manager.*, and errors whose type matches. May be repeated."`
	Count  int      `short:"n" placeholder:"N" help:"End after this number of events."`
}

// Run shows events until it is interrupted, has shown Count events, or a module ends. The last is an error.
func (c *watchCommand) Run(ctx context.Context, s *invocation) error {
	for _, pattern := range c.Only {
		if _, err := path.Match(pattern, ""); err != nil {
			return usage("--only %s: %v", pattern, err)
		}
	}
	modules, err := s.modules(ctx, c.Module)
	if err != nil {
		return err
	}
	watchCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	shown := 0
	show := func(event control.Event) {
		mu.Lock()
		defer mu.Unlock()
		if watchCtx.Err() != nil || !c.wanted(event) {
			return
		}
		if err := s.show(event); err != nil {
			cancel(err)
			return
		}
		if shown++; c.Count > 0 && shown == c.Count {
			cancel(errEnough)
		}
	}
	var watching sync.WaitGroup
	reachable := 0
	for _, m := range modules {
		if m.err != nil {
			fmt.Fprintf(s.errors, "satctl: %s: %s\n", terminal.Text(m.name), terminal.Text(m.err.Error()))
			continue
		}
		reachable++
		watching.Go(func() {
			err := m.client.Watch(watchCtx, show)
			if watchCtx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", m.name, err))
			}
		})
	}
	if reachable == 0 {
		return &failure{status: exitUnreachable}
	}
	watching.Wait()
	if cause := context.Cause(watchCtx); ctx.Err() == nil && !errors.Is(cause, errEnough) {
		return cause
	}
	return nil
}

var errEnough = errors.New("enough events were shown")

// wanted reports whether an event is shown. Lost events are always shown.
func (c *watchCommand) wanted(event control.Event) bool {
	if len(c.Only) == 0 || event.Kind == control.KindLost {
		return true
	}
	name := event.Interface + "." + event.Variable
	if event.Kind == control.KindRaised || event.Kind == control.KindCleared {
		name = errorOf(event).Type
	} else if event.Kind == control.KindState {
		return false
	}
	for _, pattern := range c.Only {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// eventError is the part of EVerest's error object that is shown.
type eventError struct {
	Type     string `json:"type"`
	SubType  string `json:"sub_type"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
	Origin   struct {
		ModuleID string `json:"module_id"`
	} `json:"origin"`
}

func errorOf(event control.Event) (e eventError) {
	_ = json.Unmarshal(event.Error, &e) // fields that cannot be decoded stay empty
	return e
}

// show writes one event.
func (s *invocation) show(event control.Event) error {
	if s.JSON {
		return json.NewEncoder(s.out).Encode(event)
	}
	text := ""
	switch event.Kind {
	case control.KindVariable:
		text = fmt.Sprintf("%s.%s %s", event.Interface, event.Variable, event.Value)
	case control.KindRaised, control.KindCleared:
		e := errorOf(event)
		text = fmt.Sprintf("error %s: %s", event.Kind, e.Type)
		if e.SubType != "" {
			text += "/" + e.SubType
		}
		text += fmt.Sprintf(" of %s (%s) %s", e.Origin.ModuleID, e.Severity, e.Message)
	case control.KindState:
		text = fmt.Sprintf("state %s (%s)", event.State, event.Health)
	case control.KindLost:
		text = fmt.Sprintf("%d events are lost: they came faster than satctl read them", event.Lost)
	default:
		text = string(event.Kind)
	}
	_, err := fmt.Fprintf(s.out, "%s  %s  %s\n", event.Time.Local().Format("15:04:05.000"), terminal.Text(event.ModuleID), terminal.Text(text))
	return err
}
