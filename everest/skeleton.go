package everest

import (
	"context"
	"encoding/json"
)

// ParseOptions reads the command line without the program's name.
func ParseOptions(args []string, getenv func(string) string) (Options, error) { return Options{}, nil }

// Module is one EVerest module.
type Module struct{}

// Connect connects.
func Connect(ctx context.Context, options Options) (*Module, error) { return nil, nil }

func (m *Module) ID() string                                            { return "" }
func (m *Module) Name() string                                          { return "" }
func (m *Module) DecodeConfig(dst any) error                            { return nil }
func (m *Module) DecodeImplementationConfig(impl string, dst any) error { return nil }
func (m *Module) Mapping() *Mapping                                     { return nil }
func (m *Module) MappingOf(impl string) *Mapping                        { return nil }
func (m *Module) Provides(impl string) *Provided                        { return nil }
func (m *Module) Requires(req string) []*Required                       { return nil }
func (m *Module) OnInit(fn func(ctx context.Context) error)             {}
func (m *Module) OnReady(fn func(ctx context.Context) error)            {}
func (m *Module) Run(ctx context.Context) error                         { return nil }
func (m *Module) Close() error                                          { return nil }
func (m *Module) Fail(err error)                                        {}
func (m *Module) NewQueue(name string) *Queue                           { return nil }
func (m *Module) SubscribeGlobalErrors(fn ErrorHandler, options ...SubscribeOption) {
}

// Queue puts several subscriptions into one line.
type Queue struct{}

// SubscribeOption changes one subscription.
type SubscribeOption func(*subscribeOptions)

type subscribeOptions struct{}

// OnQueue delivers in the line of q.
func OnQueue(q *Queue) SubscribeOption { return func(*subscribeOptions) {} }

// NewestOnly keeps only the newest waiting value.
func NewestOnly() SubscribeOption { return func(*subscribeOptions) {} }

// Provided is one provided implementation.
type Provided struct{}

func (p *Provided) ID() string                                                    { return "" }
func (p *Provided) Interface() string                                             { return "" }
func (p *Provided) Handle(command string, h CommandHandler)                       {}
func (p *Provided) Publish(ctx context.Context, variable string, value any) error { return nil }
func (p *Provided) Raise(ctx context.Context, e Error) error                      { return nil }
func (p *Provided) Clear(ctx context.Context, errorType, subType string) error    { return nil }
func (p *Provided) ClearType(ctx context.Context, errorType string) error         { return nil }
func (p *Provided) ClearAll(ctx context.Context) error                            { return nil }
func (p *Provided) RaiseForwarded(ctx context.Context, e Error) error             { return nil }
func (p *Provided) ClearForwarded(ctx context.Context, e Error) error             { return nil }
func (p *Provided) ActiveErrors() []Error                                         { return nil }

// VariableHandler takes values of a variable, one after the other.
type VariableHandler func(ctx context.Context, value json.RawMessage)

// Required is one connection of a requirement.
type Required struct{}

func (r *Required) ModuleID() string         { return "" }
func (r *Required) ImplementationID() string { return "" }
func (r *Required) Interface() string        { return "" }
func (r *Required) Mapping() *Mapping        { return nil }
func (r *Required) ActiveErrors() []Error    { return nil }
func (r *Required) Call(ctx context.Context, command string, arguments, result any) error {
	return nil
}
func (r *Required) Subscribe(variable string, h VariableHandler, options ...SubscribeOption) {}
func (r *Required) SubscribeErrors(h ErrorHandler, options ...SubscribeOption)               {}

// Call calls a command and decodes its result.
func Call[R any](ctx context.Context, r *Required, command string, arguments any) (R, error) {
	var result R
	err := r.Call(ctx, command, arguments, &result)
	return result, err
}

// Subscribe subscribes with decoded values.
func Subscribe[T any](r *Required, variable string, fn func(ctx context.Context, value T), options ...SubscribeOption) {
}

// Handle answers a command with decoded arguments and result.
func Handle[A, R any](p *Provided, command string, fn func(ctx context.Context, arguments A) (R, error)) {
}
