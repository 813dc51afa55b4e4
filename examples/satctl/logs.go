package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/renameio/v2"

	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
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
	var fetched atomic.Int64
	defer s.progress(ctx, m, &fetched)()
	if c.Output == "-" {
		return m.client.Logs(ctx, func(string) (io.Writer, error) { return counted{s.raw, &fetched}, nil })
	}
	file, name, err := c.fetch(ctx, m, &fetched)
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
func (c *logsCommand) fetch(ctx context.Context, m *module, fetched *atomic.Int64) (file *renameio.PendingFile, path string, err error) {
	err = m.client.Logs(ctx, func(name string) (io.Writer, error) {
		path = cmp.Or(c.Output, name, m.name+".log")
		file, err = renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
		if err != nil {
			return nil, &failure{exitNotWorking, err.Error()}
		}
		return counted{file, fetched}, nil
	})
	return file, path, err
}

// counted counts what is written.
type counted struct {
	to    io.Writer
	count *atomic.Int64
}

func (c counted) Write(text []byte) (int, error) {
	n, err := c.to.Write(text)
	c.count.Add(int64(n))
	return n, err
}

// progress writes to standard error how far the logs are, until the returned function is called. Collecting the files
// of all boards takes minutes.
func (s *invocation) progress(ctx context.Context, m *module, fetched *atomic.Int64) (stop func()) {
	if s.progressEvery <= 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var showing sync.WaitGroup
	showing.Go(func() {
		begun, ticker := time.Now(), time.NewTicker(s.progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			fmt.Fprintf(s.errors, "satctl: %s: %s, %s\n", m.name, s.step(ctx, m, fetched.Load()), verdict.Span(time.Since(begun)))
		}
	})
	return func() {
		cancel()
		showing.Wait()
	}
}

// step returns what fetching the logs does at the moment.
func (s *invocation) step(ctx context.Context, m *module, fetched int64) string {
	if fetched > 0 {
		return fmt.Sprintf("%.1f MiB fetched", float64(fetched)/(1<<20))
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, err := m.client.Status(ctx)
	if err != nil || status.Station == nil || len(status.Station.Logs) == 0 {
		return "waiting for its logs"
	}
	job := status.Station.Logs[len(status.Station.Logs)-1]
	return fmt.Sprintf("%s, %d of %d boards", job.Step, job.Done, job.Boards)
}
