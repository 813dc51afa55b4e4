package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// logsCommand fetches logs.
type logsCommand struct {
	Module string `arg:"" optional:"" help:"Module whose logs to fetch. Default: the aggregator, which collects those of all boards."`
	Output string `short:"o" placeholder:"FILE" help:"File to write; - is standard output. Default: a file of the module's choice in this directory."`
}

// Run fetches the logs. It writes the whole file or none, and only the owner may read the file.
func (c *logsCommand) Run(ctx context.Context, s *invocation) error {
	m, err := s.one(ctx, c.Module, isAggregator)
	if err != nil {
		return err
	}
	if c.Output == "-" {
		return m.client.Logs(ctx, func(string) (io.Writer, error) { return s.raw, nil })
	}
	file, name, err := c.fetch(ctx, m)
	if file != nil {
		defer file.Cleanup()
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		err = file.CloseAtomicallyReplace()
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

// fetch writes the logs to a file that is to replace the file of the returned name.
func (c *logsCommand) fetch(ctx context.Context, m *module) (file *renameio.PendingFile, path string, err error) {
	err = m.client.Logs(ctx, func(name string) (io.Writer, error) {
		path = cmp.Or(c.Output, name, m.name+".log")
		file, err = renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
		if err != nil {
			return nil, &failure{exitNotWorking, err.Error()}
		}
		return file, nil
	})
	return file, path, err
}
