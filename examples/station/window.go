package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/examples/internal/events"
	"github.com/remotechargeport/remotechargeport/examples/internal/page"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

// window is where a person looks into the station while it runs: the page, and the modules' status sockets for satctl. It
// has a directory of sockets for each board, as the boards of a real station have.
type window struct {
	directory string
	end       context.CancelFunc
	running   sync.WaitGroup
}

// openWindow serves the page, and prints its address with commands to paste. An address that is in use is replaced by a
// free one.
func openWindow(address string, satellites int, screen *terminal.Screen) (*window, error) {
	if err := page.CheckListen(address, false); err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "station-")
	if err != nil {
		return nil, err
	}
	w := &window{directory: directory, end: func() {}}
	if err := w.serve(address, satellites, screen); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *window) serve(address string, satellites int, screen *terminal.Screen) error {
	for number := range satellites + 1 {
		if err := os.Mkdir(w.Sockets(number), 0o700); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return fmt.Errorf("no address for the page: %w", err)
		}
	}
	kept, err := events.Open(filepath.Join(w.directory, "events.json"), zap.NewNop())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	station := page.NewStation(page.Config{Source: page.Sockets{Directories: []string{w.Sockets(0)}}, Name: "Station of the example", Events: kept})
	server, err := page.NewServer(station, page.ServerConfig{Version: everest.Version()})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	var ctx context.Context
	ctx, w.end = context.WithCancel(context.Background())
	w.running.Go(func() { _ = station.Run(ctx) }) // ends with the context only
	w.running.Go(func() {
		if err := server.Serve(ctx, listener); err != nil {
			screen.Printf("the page is lost: %v", err)
		}
	})
	controller := standin.ControllerID(1)
	screen.Printf("look into the station: http://%s/\nor from another terminal, with the sockets of the main board:", listener.Addr())
	for _, command := range []string{"status", "watch", "ping " + controller, "logs " + controller} {
		screen.Printf("  go run ./examples/satctl --directory %s %s", w.Sockets(0), command)
	}
	screen.Printf("  go run ./examples/satctl events --file %s", filepath.Join(w.directory, "events.json"))
	return nil
}

// Sockets returns the directory of a board's sockets, of which 0 is the main board's.
func (w *window) Sockets(number int) string {
	name := boardMain
	if number > 0 {
		name = satelliteName(number)
	}
	return filepath.Join(w.directory, name)
}

// Close ends the page and removes the directory.
func (w *window) Close() {
	w.end()
	w.running.Wait()
	_ = os.RemoveAll(w.directory)
}

// spectators returns what lets people watch a scenario, which takes seconds: it begins when they press Enter, and the
// boards run on until they have seen enough.
func spectators(input io.Reader, screen *terminal.Screen) (begin, end func(context.Context)) {
	begin = func(ctx context.Context) {
		screen.Printf("open the page, then press Enter: the scenario begins")
		pressed := make(chan struct{})
		go func() { // ends with the process where nobody presses
			defer close(pressed)
			_, _ = bufio.NewReader(input).ReadString('\n')
		}()
		select {
		case <-pressed:
		case <-ctx.Done():
		}
	}
	end = func(ctx context.Context) {
		screen.Printf("the scenario has been played; the page stays until Ctrl-C")
		<-ctx.Done()
	}
	return begin, end
}
