package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// Own is what a fork has beside the module: the implementations, requirements and configuration keys that its
// install.Extension adds to the manifest. The module's own ones, and those of the configuration key tunnel, are out of its
// reach. Its methods may be called from any goroutine, also after the hook has returned. Only Publish, Raise, Clear and
// Call block. Handle, Subscribe and Go belong into the hook.
type Own struct {
	runner *Runner
	module *everest.Module
	place  Place

	mu       sync.Mutex
	mistakes []error
	handled  map[string]bool
	// ready has the functions of Go until the module is ready.
	ready   []func()
	started bool
	// leftOut: the hook has panicked or taken too long.
	leftOut bool
}

// Place is where Own belongs: the module, its manifest, and what is not the fork's in it.
type Place struct {
	Module      *everest.Module
	Manifest    *install.Manifest
	Definitions *schema.Definitions
	// Taken are the ids of implementations and requirements that the module itself uses.
	Taken []string
}

// Register calls the hook Own, and returns its error or the mistakes in what it has registered. The functions of Own.Go
// start when the module is ready.
func (r *Runner) Register(ctx context.Context, place Place) error {
	if r.hooks.Own == nil {
		return nil
	}
	own := &Own{runner: r, module: place.Module, place: place, handled: map[string]bool{}}
	err := r.guard.call(ctx, "Own", r.limit, func(context.Context) error { return r.hooks.Own(own) })
	if errors.Is(err, errHangs) || errors.Is(err, errPanicked) {
		own.mu.Lock()
		defer own.mu.Unlock()
		own.leftOut, own.ready = true, nil
		return nil // it is logged
	}
	own.mu.Lock()
	defer own.mu.Unlock()
	if err := errors.Join(append(own.mistakes, err)...); err != nil {
		return fmt.Errorf("hook Own: %w", err)
	}
	place.Module.OnReady(own.start)
	return nil
}

// start starts the functions of Go.
func (o *Own) start(context.Context) error {
	o.mu.Lock()
	functions := o.ready
	o.ready, o.started = nil, true
	o.mu.Unlock()
	for _, fn := range functions {
		fn()
	}
	return nil
}

// mistake keeps the error of a registration. One that comes when Register has returned is logged.
func (o *Own) mistake(format string, arguments ...any) {
	err := fmt.Errorf(format, arguments...)
	o.runner.log.Warn("a registration of this fork has no effect", zap.Error(err))
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mistakes = append(o.mistakes, err)
}

func (o *Own) isLeftOut() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.leftOut
}

// ModuleID returns the module's id in the configuration of EVerest.
func (o *Own) ModuleID() string { return o.module.ID() }

// Config fills the struct that dst points to from the module's configuration keys, as everest.Module.DecodeConfig does:
// the tag of a field names its key, as in `everest:"acme_lamp_s"`.
func (o *Own) Config(dst any) error { return o.module.DecodeConfig(dst) }

// Key returns the value of one configuration key of the module. A key that the manifest does not have, or that has another
// type, is an error.
func Key[T any](own *Own, name string) (T, error) {
	// Config reads the keys that the tags of a struct name.
	fields := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: "Value", Type: reflect.TypeFor[T](), Tag: reflect.StructTag(fmt.Sprintf("everest:%q", name)),
	}}))
	err := own.Config(fields.Interface())
	return fields.Elem().Field(0).Interface().(T), err
}

// Handle sets the handler of a command of one of the fork's implementations. Calls of one command run one after the
// other, each for at most Hooks.CommandLimit. Then its caller gets an error, and so do later callers until the handler
// returns. The rules of everest.CommandHandler for results and errors apply.
func (o *Own) Handle(implementation, command string, handler everest.CommandHandler) {
	name := implementation + "." + command
	declared, err := o.implementation(implementation)
	switch {
	case err != nil:
		o.mistake("command %s: %w", name, err)
		return
	case handler == nil:
		o.mistake("command %s: the handler is nil", name)
		return
	case o.isLeftOut():
		o.mistake("command %s: the hook Own took too long", name)
		return
	case declared != nil && declared.Commands[command] == nil:
		o.mistake("command %s: interface %s has no such command", name, declared.Name)
		return
	}
	o.mu.Lock()
	twice := o.handled[name]
	o.handled[name] = true
	o.mu.Unlock()
	if twice {
		o.mistake("command %s has two handlers", name)
		return
	}
	o.module.Provides(implementation).Handle(command, func(ctx context.Context, arguments everest.Args) (any, error) {
		return o.runner.command(ctx, name, func(ctx context.Context) (any, error) { return handler(ctx, arguments) })
	})
}

// command calls a handler of the fork.
func (r *Runner) command(ctx context.Context, name string, handler func(context.Context) (any, error)) (any, error) {
	results := make(chan any, 1)
	err := r.guard.call(ctx, name, r.hooks.CommandLimit, func(ctx context.Context) error {
		result, err := handler(ctx)
		results <- result
		return err
	})
	switch {
	case errors.Is(err, errHangs):
		return nil, &everest.CommandError{Type: everest.CmdTimeout, Message: "the handler of " + name + " does not return"}
	case errors.Is(err, errPanicked):
		return nil, &everest.CommandError{Type: everest.HandlerException, Message: "the handler of " + name + " panicked"}
	case err != nil:
		return nil, err
	}
	return <-results, nil
}

// Publish publishes a value of a variable, as everest.Provided.Publish does. Before the module is ready other modules may
// miss it.
func (o *Own) Publish(ctx context.Context, implementation, variable string, value any) error {
	provided, err := o.provided(implementation)
	if err != nil {
		return err
	}
	return provided.Publish(ctx, variable, value)
}

// Raise raises an error of one of the fork's implementations, as everest.Provided.Raise does.
func (o *Own) Raise(ctx context.Context, implementation string, raised everest.Error) error {
	provided, err := o.provided(implementation)
	if err != nil {
		return err
	}
	return provided.Raise(ctx, raised)
}

// Clear clears an error that Raise has raised. An empty sub type clears the one without a sub type.
func (o *Own) Clear(ctx context.Context, implementation, errorType, subType string) error {
	provided, err := o.provided(implementation)
	if err != nil {
		return err
	}
	return provided.Clear(ctx, errorType, subType)
}

// Call calls a command of the first module that is connected to one of the fork's requirements. The result is decoded
// into the variable that result points to, which may be nil. An optional requirement that is not connected is an error.
func (o *Own) Call(ctx context.Context, requirement, command string, arguments, result any) error {
	connected, err := o.required(requirement)
	if err != nil {
		return err
	}
	if len(connected) == 0 {
		return fmt.Errorf("hook: nothing is connected to the requirement %s: connect it in the configuration of EVerest", requirement)
	}
	return connected[0].Call(ctx, command, arguments, result)
}

// Subscribe subscribes a variable of all modules that are connected to one of the fork's requirements. The handler gets
// the values of one module one after the other. A value whose handler exceeds Limit is followed by the next, and values
// are skipped until the handler has returned.
func (o *Own) Subscribe(requirement, variable string, handler func(ctx context.Context, value json.RawMessage)) {
	connected, err := o.required(requirement)
	switch {
	case err != nil:
		o.mistake("variable %s.%s: %w", requirement, variable, err)
		return
	case handler == nil:
		o.mistake("variable %s.%s: the handler is nil", requirement, variable)
		return
	case o.isLeftOut():
		o.mistake("variable %s.%s: the hook Own took too long", requirement, variable)
		return
	}
	for _, required := range connected {
		name := fmt.Sprintf("%s.%s of %s", requirement, variable, required.ModuleID())
		required.Subscribe(variable, func(ctx context.Context, value json.RawMessage) {
			_ = o.runner.guard.call(ctx, name, o.runner.limit, func(ctx context.Context) error { // a fault is logged
				handler(ctx, value)
				return nil
			})
		})
	}
}

// Go runs a function in the background, from when the module is ready until it ends, or at once when it is ready already.
// The function must return when its context ends. After a panic it is not called again. The name is for the log.
func (o *Own) Go(name string, fn func(ctx context.Context)) {
	if fn == nil {
		o.mistake("background function %s is nil", name)
		return
	}
	run := func() { o.runner.guard.unlimited(name, fn) }
	o.mu.Lock()
	if !o.started {
		o.ready = append(o.ready, run)
		o.mu.Unlock()
		return
	}
	o.mu.Unlock()
	run()
}

const remedy = "add it with install.Extension, and install the module again with -install"

// implementation returns the interface of one of the fork's implementations, nil where it is not known.
func (o *Own) implementation(id string) (*schema.Interface, error) {
	provided, known := o.place.Manifest.Provides[id]
	switch {
	case slices.Contains(o.place.Taken, id):
		return nil, fmt.Errorf("the implementation %s is the module's own", id)
	case !known:
		return nil, fmt.Errorf("the manifest has no implementation %s: %s", id, remedy)
	}
	declared, _ := o.place.Definitions.Interface(provided.Interface)
	return declared, nil
}

func (o *Own) provided(id string) (*everest.Provided, error) {
	if _, err := o.implementation(id); err != nil {
		return nil, fmt.Errorf("hook: %w", err)
	}
	return o.module.Provides(id), nil
}

func (o *Own) required(id string) ([]*everest.Required, error) {
	_, known := o.place.Manifest.Requires[id]
	switch {
	case slices.Contains(o.place.Taken, id):
		return nil, fmt.Errorf("hook: the requirement %s is the module's own", id)
	case !known:
		return nil, fmt.Errorf("hook: the manifest has no requirement %s: %s", id, remedy)
	}
	return o.module.Requires(id), nil
}
