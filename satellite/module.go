package satellite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

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

// moduleOptions fills in what the caller has left open: the manifest and the
// interface definitions are those of the installation, or else built in.
func moduleOptions(options everest.Options, module string, builtIn []byte, log *zap.Logger) (everest.Options, *everest.Manifest, error) {
	if options.Logger == nil {
		options.Logger = log
	}
	if options.Manifest == nil {
		options.Manifest = manifestOf(options.InstallPrefix, module, builtIn, log)
	}
	manifest, err := everest.ParseManifest(options.Manifest)
	if err != nil {
		return options, nil, fmt.Errorf("%w (manifest of %s)", err, module)
	}
	if options.Definitions == nil {
		options.Definitions, err = definitionsOf(options.InstallPrefix, manifest, log)
	}
	return options, manifest, err
}

// manifestOf returns what the manager reads as the module's manifest, as far as it
// can be had.
func manifestOf(prefix, module string, builtIn []byte, log *zap.Logger) []byte {
	if prefix == "" {
		return builtIn
	}
	installed, err := everest.InstalledManifest(prefix, module)
	if err == nil {
		_, err = everest.ParseManifest(installed)
	}
	switch {
	case err == nil:
		return installed
	case errors.Is(err, fs.ErrNotExist):
		log.Debug("no manifest is installed: the built-in one counts", zap.String("prefix", prefix))
	default:
		log.Warn("the installed manifest cannot be read: the built-in one counts", zap.Error(err))
	}
	return builtIn
}

// definitionsOf returns the definitions of the manifest's interfaces: those of the
// EVerest that is installed, and the built-in ones of what it lacks.
func definitionsOf(prefix string, manifest *everest.Manifest, log *zap.Logger) (*everest.Definitions, error) {
	names := map[string]bool{}
	for _, provided := range manifest.Provides {
		names[provided.Interface] = true
	}
	for _, required := range manifest.Requires {
		names[required.Interface] = true
	}
	installed, err := everest.InstalledInterfaces(prefix, slices.Sorted(maps.Keys(names))...)
	if err != nil {
		log.Warn("interface definitions of the installation cannot be read: built-in ones count in their place", zap.Error(err))
	}
	found := len(installed.InterfaceNames())
	log.Debug("interface definitions", zap.Int("of the installation", found), zap.Int("of the manifest", len(names)))
	if found == len(names) {
		return installed, nil
	}
	builtIn, err := Definitions()
	if err != nil {
		return nil, err
	}
	return installed.OverDefinitions(builtIn), nil
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
