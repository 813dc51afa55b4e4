// Package strict stands in for the modules of EVerest that decide what an identifier means: Auth, OCPP, EnergyManager,
// EnergyNode, ErrorHistory and EvseManager. Each compares what the real module of EVerest 2026.02.0 compares, and reads
// messages as strictly as the real module. A station of these stand-ins so goes wrong where a real one goes wrong.
//
// Package standin has stand-ins that only answer and record.
package strict

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
)

// interval is how often EvseManager requests energy and EnergyManager distributes it. The real modules have 1 s.
const interval = 100 * time.Millisecond

// Board is what the stand-ins of one board share.
type Board struct {
	// Modules are the implementations of each module of the board, by module id.
	Modules map[string][]string
	// Debug is true for a board that logs at DEBUG.
	Debug bool
	// KnowsError reports whether EVerest's definitions have the error type.
	KnowsError func(errorType string) bool
	// Backend receives what OCPP sends. It may be nil.
	Backend func(action string, payload map[string]any)
	// Memory is what stays when the board ends; nil for a board that runs once.
	Memory *Memory
	// ValidFor is for how many seconds EnergyManager's limits hold, 10 by default.
	ValidFor int
	// Logger gets a line for each message that a stand-in drops. It may be nil.
	Logger *zap.Logger

	once sync.Once // sets Memory
}

func (b *Board) logger() *zap.Logger { return cmp.Or(b.Logger, zap.NewNop()) }

// memory returns what stays when the board ends.
func (b *Board) memory() *Memory {
	b.once.Do(func() { b.Memory = cmp.Or(b.Memory, new(Memory)) })
	return b.Memory
}

//go:embed manifests
var manifests embed.FS

// Manifest returns the manifest of a stand-in by its module's name, and false where there is none.
func Manifest(module string) ([]byte, bool) {
	manifest, err := manifests.ReadFile("manifests/" + module + ".yaml")
	return manifest, err == nil
}

// Run returns the life of a stand-in by its module's name.
func (b *Board) Run(module string) (func(context.Context, everest.Options) error, error) {
	switch module {
	case "Auth":
		return standin.Run(newAuth(b.logger()).setUp), nil
	case "OCPP":
		return b.runWithErrors(func(errors *errorManager) errorConsumer { return newOCPP(b, errors) }), nil
	case "ErrorHistory":
		return b.runWithErrors(func(errors *errorManager) errorConsumer { return newErrorHistory(errors) }), nil
	case "EnergyManager":
		return standin.Run(newEnergyManager(b).setUp), nil
	case "EnergyNode":
		return standin.Run(newEnergyNode().setUp), nil
	case "PersistentStore":
		return standin.Run(persistentStore{b.memory()}.setUp), nil
	case "EvseManager":
		return standin.Run(newEvseManager().setUp), nil
	}
	return nil, fmt.Errorf("no stand-in for module %s", module)
}

// errorConsumer is a module that hears the errors of the whole board.
type errorConsumer interface {
	setUp(module *everest.Module) error
	raised(reported errorObject)
	cleared(reported errorObject)
}

func (b *Board) runWithErrors(consumer func(*errorManager) errorConsumer) func(context.Context, everest.Options) error {
	return func(ctx context.Context, options everest.Options) error {
		errors := newErrorManager(b)
		module := consumer(errors)
		return errors.listen(ctx, options, module, standin.Run(module.setUp))
	}
}

// timestamp returns the time as EVerest writes it.
func timestamp() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }
