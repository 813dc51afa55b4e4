package satellite

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
)

// errEnded ends an init that waits for a peer when the protocol has ended; the
// reason is what runModule returns.
var errEnded = errors.New("satellite: the handshake has ended")

// defaultCommandTimeout is below the 300 s after which EVerest's own callers give
// up.
const defaultCommandTimeout = 290 * time.Second

// moduleOptions fills in what the caller has left open.
func moduleOptions(options everest.Options, module string, builtIn []byte, log *zap.Logger) (everest.Options, *install.Manifest, error) {
	if options.Logger == nil {
		options.Logger = log
	}
	return options.Installed(module, builtIn, Definitions)
}

// runModule runs the module and the protocol beside it until one of them ends,
// then ends the other, waits for everything, and returns the first cause.
func runModule(ctx context.Context, module *everest.Module, loop *loop, ended func(handshake.ExitProcess) error, background *sync.WaitGroup) error {
	moduleContext, cancelModule := context.WithCancel(ctx)
	defer cancelModule()
	loopContext, cancelLoop := context.WithCancel(ctx)
	defer cancelLoop()

	module.OnWatchdog("handshake", loop.ask)
	var protocol error
	var running sync.WaitGroup
	running.Go(func() {
		defer cancelModule()
		end, err := loop.run(loopContext)
		switch {
		case err != nil:
			protocol = err
		case end.Status != 0:
			protocol = ended(end)
		}
	})
	err := module.Run(moduleContext)
	// The protocol's own end cancels the module, so the module's error is the
	// cause only if it came first.
	cancelLoop()
	running.Wait()
	background.Wait()
	switch {
	case protocol != nil:
		return protocol
	case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled) || errors.Is(err, errEnded)):
		return nil
	}
	return err
}

// reportLink tells the module's supervisor where the handshake stands. A link that
// is measured without EVerest has no module.
func reportLink(module *everest.Module, state handshake.State, peer, address string) {
	if module == nil {
		return
	}
	text := "link: " + state.String()
	if address != "" {
		text += ", " + peer + " " + address
	}
	module.ReportStatus(text)
}

func ptr[T any](value T) *T { return &value }
