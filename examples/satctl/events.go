package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/events"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

// eventsCommand shows what `satctl serve` has kept.
type eventsCommand struct {
	Module []string      `arg:"" optional:"" help:"Modules whose events are shown. Default: all."`
	File   string        `placeholder:"FILE" type:"path" help:"File of satctl serve --events. Default: events.json in $$STATE_DIRECTORY, otherwise in /var/lib/satctl."`
	Since  time.Duration `default:"24h" help:"How long ago the first event may have been. Default: ${default}."`
}

// Run shows the events, the newest last.
func (c *eventsCommand) Run(s *invocation) error {
	path := c.File
	if path == "" {
		path = eventsFile(s.getenv)
	}
	if path == "" {
		path = "/var/lib/satctl/events.json"
	}
	now := time.Now()
	found, err := events.Read(path, now)
	if errors.Is(err, fs.ErrNotExist) {
		return &failure{exitUnreachable, "no events: there is no file " + path + "; satctl serve --events writes it, and --file names another"}
	}
	if err != nil {
		return &failure{exitUnreachable, fmt.Sprintf("the events cannot be read: %v", err)}
	}
	found = slices.DeleteFunc(found, func(event events.Event) bool {
		return len(c.Module) > 0 && !slices.Contains(c.Module, event.ModuleID) || now.Sub(event.Time) > c.Since
	})
	writer := json.NewEncoder(s.out)
	width := 0
	for i := range found {
		width = max(width, len(terminal.Printable(found[i].Of())))
	}
	for _, event := range found {
		if s.JSON {
			if err := writer.Encode(event); err != nil {
				return err
			}
			continue
		}
		text := strings.ReplaceAll(event.Text, "\n", " ")
		s.paint(event.Level, fmt.Sprintf("%s  %-7s  %-*s  %s", event.Time.Local().Format(time.DateTime), event.Level, width, terminal.Printable(event.Of()), terminal.Printable(text)))
	}
	if len(found) == 0 && !s.JSON {
		fmt.Fprintln(s.out, "Nothing has happened.")
	}
	return nil
}

// eventsFile returns where events are kept by default: in the state directory that systemd gives, empty without one.
func eventsFile(getenv func(string) string) string {
	directory, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":")
	if directory == "" {
		return ""
	}
	return filepath.Join(directory, "events.json")
}
