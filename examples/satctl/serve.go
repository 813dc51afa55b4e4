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
	"github.com/remotechargeport/remotechargeport/examples/satctl/internal/page"
)

// serveCommand shows the modules to browsers and Prometheus until it is told to end.
type serveCommand struct {
	Folders []string      `arg:"" optional:"" name:"directory" type:"path" help:"Directories with control sockets. Default: that of --directory."`
	Listen  string        `short:"l" default:"127.0.0.1:9477" help:"Address and port of the page. Default: ${default}."`
	Expose  bool          `help:"Allow an address that other machines can reach. Nobody is asked for a password."`
	Host    []string      `placeholder:"NAME" help:"Name under which the page is reached, beside localhost and addresses. May be repeated."`
	Title   string        `placeholder:"NAME" help:"Name of the station. Default: the machine's."`
	Forget  time.Duration `default:"24h" help:"How long a module whose socket is gone is still shown. Default: ${default}."`
}

// Run serves. Its error is nil when the context has ended.
func (c *serveCommand) Run(s *session) error {
	if err := page.CheckListen(c.Listen, c.Expose); err != nil {
		return usage("%v", err)
	}
	source, err := c.source(s)
	if err != nil {
		return err
	}
	title := c.Title
	if title == "" {
		// Without a name of the machine the page is one of some station.
		name, _ := os.Hostname()
		title = cmp.Or(name, "Station")
	}
	log := serveLog(s.errors)
	station := page.NewStation(page.Config{Source: source, Name: title, Forget: c.Forget, Logger: log})
	server, err := page.NewServer(station, page.ServerConfig{Hosts: c.Host, Version: everest.Version(), Logger: log})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return &failure{exitNotWorking, fmt.Sprintf("cannot serve the page: %v; --listen takes another address", err)}
	}
	fmt.Fprintf(s.out, "http://%s/\n", listener.Addr())
	ctx, cancel := context.WithCancel(s.ctx)
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

// source are the sockets that the command line means.
func (c *serveCommand) source(s *session) (page.Sockets, error) {
	switch {
	case len(s.Socket) > 0 && (s.Directory != "" || len(c.Folders) > 0):
		return page.Sockets{}, usage("give either sockets or directories")
	case len(s.Socket) > 0:
		return page.Sockets{Paths: s.Socket}, nil
	case len(c.Folders) > 0 && s.Directory != "":
		return page.Sockets{Directories: append([]string{s.Directory}, c.Folders...)}, nil
	case len(c.Folders) > 0:
		return page.Sockets{Directories: c.Folders}, nil
	}
	return page.Sockets{Directories: []string{s.directory()}}, nil
}

// serveLog writes a line for each change of a module's level.
func serveLog(to io.Writer) *zap.Logger {
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.RFC3339TimeEncoder
	encoding.EncodeLevel = zapcore.CapitalLevelEncoder
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), zapcore.Lock(zapcore.AddSync(to)), zapcore.InfoLevel))
}
