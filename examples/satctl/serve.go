package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/examples/internal/events"
	"github.com/remotechargeport/remotechargeport/examples/internal/page"
)

// serveCommand serves the page for browsers and the metrics for Prometheus.
type serveCommand struct {
	Folders []string      `arg:"" optional:"" name:"directory" type:"path" help:"Directories with status sockets. Default: that of --directory."`
	Listen  string        `short:"l" default:"127.0.0.1:9477" help:"Address and port of the page. Default: ${default}."`
	Expose  bool          `help:"Allow an address that other machines can reach. There is no password."`
	Host    []string      `placeholder:"NAME" help:"Name of the server, besides localhost and addresses. May be repeated."`
	Title   string        `placeholder:"NAME" help:"Name of the station. Default: the host name."`
	Events  string        `placeholder:"FILE" type:"path" help:"File that keeps the last day's events over a restart. Default: events.json in $$STATE_DIRECTORY, otherwise none."`
	Forget  time.Duration `default:"24h" help:"How long a module is shown after its socket is gone. Default: ${default}."`
}

// Run serves until the context ends, and returns nil then.
func (c *serveCommand) Run(ctx context.Context, s *invocation) error {
	if err := page.CheckListen(c.Listen, c.Expose); err != nil {
		return usage("%v", err)
	}
	source, err := c.source(s)
	if err != nil {
		return err
	}
	title := c.Title
	if title == "" {
		// The default replaces a host name that cannot be read.
		name, _ := os.Hostname()
		title = cmp.Or(name, "Station")
	}
	log := serveLog(s.errors)
	kept, err := c.events(s, log)
	if err != nil {
		return err
	}
	station := page.NewStation(page.Config{Source: source, Name: title, Forget: c.Forget, Events: kept, Logger: log})
	server, err := page.NewServer(station, page.ServerConfig{Hosts: c.Host, Version: everest.Version(), Logger: log})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return &failure{exitNotWorking, fmt.Sprintf("cannot serve the page: %v; choose another address with --listen", err)}
	}
	fmt.Fprintf(s.out, "http://%s/\n", listener.Addr())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	go func() { ended <- station.Run(ctx) }()
	go func() { ended <- server.Serve(ctx, listener) }()
	first := <-ended
	cancel()
	if err := errors.Join(first, <-ended); err != nil {
		return &failure{exitNotWorking, err.Error()}
	}
	return nil
}

// events opens the file of the last day's events.
func (c *serveCommand) events(s *invocation, log *zap.Logger) (*events.Log, error) {
	path := cmp.Or(c.Events, eventsFile(s.getenv))
	if path == "" {
		log.Info("the last day's events end with this program: give a file with --events to keep them")
		return events.InMemory(), nil
	}
	kept, err := events.Open(path, log)
	if err != nil {
		return nil, &failure{exitNotWorking, err.Error()}
	}
	return kept, nil
}

// source returns the sockets that the command line selects.
func (c *serveCommand) source(s *invocation) (page.Sockets, error) {
	switch {
	case len(s.Socket) > 0 && (s.Directory != "" || len(c.Folders) > 0):
		return page.Sockets{}, usage("--socket and directories cannot be combined: give either")
	case len(s.Socket) > 0:
		return page.Sockets{Paths: s.Socket}, nil
	case len(c.Folders) > 0 && s.Directory != "":
		return page.Sockets{Directories: append([]string{s.Directory}, c.Folders...)}, nil
	case len(c.Folders) > 0:
		return page.Sockets{Directories: c.Folders}, nil
	}
	return page.Sockets{Directories: []string{s.directory()}}, nil
}

// serveLog returns the logger of the page, which logs each change of a module's level.
func serveLog(to io.Writer) *zap.Logger {
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.RFC3339TimeEncoder
	encoding.EncodeLevel = zapcore.CapitalLevelEncoder
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), zapcore.Lock(zapcore.AddSync(to)), zapcore.InfoLevel))
}
