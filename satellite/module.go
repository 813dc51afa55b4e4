package satellite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

// defaultCommandTimeout is below the 300 s after which EVerest's own callers give up.
const defaultCommandTimeout = 290 * time.Second

// moduleOptions completes a module's options, and returns its manifest.
func moduleOptions(options everest.Options, installation install.Installation, log *zap.Logger) (everest.Options, *install.Manifest, error) {
	options.Logger = cmp.Or(options.Logger, log)
	if err := installation.Err(); err != nil {
		return options, nil, err
	}
	return options.Installed(installation.Module, installation.Manifest, definitionsWith(installation))
}

// protocol runs beside a module: an end of a link.
type protocol interface {
	Run(context.Context) (handshake.ExitProcess, error)
	Ask(alive func())
}

// runModule runs the module and the protocol beside it until one of them ends, then ends the other, waits for
// everything, and returns the first cause.
func runModule(ctx context.Context, module *everest.Module, end protocol, ended func(context.Context, handshake.ExitProcess) error, background *sync.WaitGroup) error {
	moduleContext, cancelModule := context.WithCancel(ctx)
	defer cancelModule()
	loopContext, cancelLoop := context.WithCancel(ctx)
	defer cancelLoop()

	module.OnWatchdog("handshake", end.Ask)
	var cause error
	var running sync.WaitGroup
	running.Go(func() {
		defer cancelModule()
		exit, err := end.Run(loopContext)
		switch {
		case err != nil:
			cause = err
		case exit.Status != 0:
			cause = ended(loopContext, exit)
		}
	})
	err := module.Run(moduleContext)
	// The protocol's own end cancels the module, so the module's error is the cause only if it came first.
	cancelLoop()
	running.Wait()
	background.Wait()
	switch {
	case cause != nil:
		return cause
	case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled) || errors.Is(err, link.ErrEnded)):
		return nil
	}
	return err
}

// reportLink reports the handshake's state to the module's supervisor.
func reportLink(module *everest.Module, state handshake.State, peer, address string) {
	text := "link: " + state.String()
	if address != "" {
		text += ", " + peer + " " + address
	}
	module.ReportStatus(text)
}

// waitFor waits for a channel to be closed.
func waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// EndError is the error of Run when the handshake protocol requires both boards to restart. The process must then exit
// with a status other than 0, so that this board's EVerest goes down and restarts together with the other board's.
type EndError struct {
	// Peer is the address of the other board.
	Peer   string
	Reason handshake.Reason
}

func (e *EndError) Error() string {
	if e.Peer == "" {
		return fmt.Sprintf("satellite: this board must restart: %v", e.Reason)
	}
	return fmt.Sprintf("satellite: this board must restart: %v (peer %s)", e.Reason, e.Peer)
}
