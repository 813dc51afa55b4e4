package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// logsCommand fetches logs.
type logsCommand struct {
	Module string `arg:"" optional:"" help:"Module whose logs to fetch. Default: the aggregator, which collects those of all boards."`
	Output string `short:"o" placeholder:"FILE" help:"File to write; - is standard output. Default: a file of the module's choice in this directory."`
}

// Run fetches the logs. It writes the whole file or none, and only the owner may read the file.
func (c *logsCommand) Run(s *session) error {
	m, err := s.one(c.Module, isAggregator)
	if err != nil {
		return err
	}
	if c.Output == "-" {
		_, err := m.client.Logs(s.ctx, s.out)
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(c.Output), ".satctl-*")
	if err != nil {
		return &failure{exitNotWorking, err.Error()}
	}
	defer os.Remove(file.Name()) // fails after the rename
	defer file.Close()
	name, err := m.client.Logs(s.ctx, file)
	if err != nil {
		return err
	}
	if c.Output != "" {
		name = c.Output
	} else if name == "" {
		name = m.name + ".log"
	}
	info, err := file.Stat()
	if err == nil {
		err = errors.Join(file.Close(), os.Rename(file.Name(), name))
	}
	if err != nil {
		return &failure{exitNotWorking, err.Error()}
	}
	if s.JSON {
		return json.NewEncoder(s.out).Encode(struct {
			File  string `json:"file"`
			Bytes int64  `json:"bytes"`
		}{name, info.Size()})
	}
	_, err = fmt.Fprintf(s.out, "%s: %d bytes\n", name, info.Size())
	return err
}
