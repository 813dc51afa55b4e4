// Package route holds the route table: what is tunnelled between a satellite board and the main board, and how each
// value of it travels.
//
// A [Route] is one EVerest interface. Its commands go from the main board to the satellite, its variables come back. A
// [Push] is a variable that goes the other way.
//
//	Standard()   the routes of the C++ modules: names of functions, kinds of arguments
//	   |
//	Table.Resolve(manifest, definitions, configuration key tunnel)
//	   |            takes out what this board's EVerest does not have, adds what it has beyond the C++ modules,
//	   v            and appends the interfaces that the operator added
//	Table.Routes()  what this board tunnels
//	   |
//	Table.Compare(the peer's Summary)  what the two boards tunnel differently, for the operator
//
// Adding an interface is adding a row to [Standard], or a name to the configuration key tunnel.
//
// The legacy dialect of the link is typed: [Command] converts arguments and results between JSON and the values of an
// RPC function. Three values of it are indices of an enumeration where EVerest has texts; of a variable [Conversions]
// converts them. Link v2 carries JSON text in both directions, so a result is only checked.
//
// What the package promises:
//   - JSON that crosses keeps its bytes: number forms, the order of keys, unknown keys. The legacy dialect writes three
//     values anew.
//   - A value received from the peer is scanned once for being JSON.
//   - A peer's [Summary] is compared within maxDifferences lines.
//   - A Table may be used from any goroutine. Everything else is a pure value.
//
// The package opens no connection and knows neither the agent, the controller nor the link.
package route

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// Route is one tunnelled interface.
type Route struct {
	// ID names the agent's requirement, the controller's implementation, and the field `interface` of events on the
	// wire.
	ID        string
	Interface string
	Commands  []Command
	Variables []Variable
	// Extra marks an interface of the configuration key tunnel.
	Extra bool
}

// Command is the route of one command: from the implementation on the main board, through the RPC function, to the
// requirement on the satellite.
type Command struct {
	Name      string
	Function  string // of the legacy dialect
	Arguments []Argument
	Result    Kind
	// Absent is the result where the satellite's optional requirement is not connected. nil means null.
	Absent json.RawMessage
	// Unavailable is the result while the satellite is isolated; see UnavailableResult. It also replaces a null result of
	// the kind JSON.
	Unavailable json.RawMessage
	// Privileged marks a command that resets or updates the satellite's board, or sends its logs away.
	Privileged bool
	// Away is what becomes of the command while the link is away; see Rule.
	Away Away
	// ValidFor is how long after its call a command without a result may still be delivered, 0 for ever.
	ValidFor time.Duration
	// Limits names the argument with limits of a Newest command. The argument's member valid_for, in seconds, takes the
	// place of ValidFor, and the limits of one member uuid replace each other.
	Limits string
	// Cancels names a command of the same interface. Calls of it that still wait for the link are dropped.
	Cancels string
	// Remembered marks a command whose last result is returned while the satellite is isolated.
	Remembered bool
	Effect     Effect
	// Derived marks a command that comes from the interface's definition, not from Standard. Its arguments travel by
	// name, as one JSON object, and its result as JSON.
	Derived bool
	// Until is the last release of EVerest that has the command, empty for a command that the newest has.
	Until string
	// Missing marks a command that this board's EVerest does not have.
	Missing bool
	// enums are the enumerations of the arguments by name, and of the result by the empty name.
	enums map[string]enumeration
}

// Argument is one argument of a command, at its position in the RPC function.
type Argument struct {
	Name string
	Kind Kind
}

// Variable is the route of one variable from the satellite to the main board.
type Variable struct {
	Name string
	// NewestOnly marks a variable of which only the newest value matters. Older ones are given up first.
	NewestOnly bool
	// GivenUpLast marks a variable that a full journal gives up only where nothing else is left.
	GivenUpLast bool
	// Indices marks a list of an enumeration's texts that the legacy dialect carries as an EnumList.
	Indices bool
	enum    enumeration
}

// Push is a variable that goes from the main board to the satellite. ID names the controller's requirement and the
// agent's implementation.
type Push struct {
	ID        string
	Interface string
	Variable  string
}

// Effect is what a successful command does to the satellite's board.
type Effect int

const (
	// Resets is the effect of a command that takes the board down, perhaps before the reply.
	Resets Effect = iota + 1
	// UpdatesFirmware is the effect of a command that takes the board down later, if the update was accepted.
	UpdatesFirmware
)

// HasLegacy reports whether this board can serve the command in the legacy dialect. It cannot where it lacks an enumeration
// whose index travels. The C++ agent of a release without the command lacks the function too.
func (c Command) HasLegacy() bool {
	indices := c.Result == Enum || slices.ContainsFunc(c.Arguments, func(a Argument) bool { return a.Kind == Enum || a.Kind == EnumList })
	return !c.Missing || !indices
}

// AcceptsUpdate reports whether the result of the command means that the board will go down for a firmware update.
func (c Command) AcceptsUpdate(result json.RawMessage) bool {
	var status string
	return c.Effect == UpdatesFirmware && json.Unmarshal(result, &status) == nil &&
		(status == "Accepted" || status == "AcceptedCanceled" || status == "AcceptedCancelled") // the last one up to EVerest 2024.7
}

// IsFirmwareStatus reports whether a variable tells how a firmware update goes on.
func IsFirmwareStatus(id, variable string) bool { return id == System && variable == variableFirmware }

// AbsentResult returns the result where the satellite's requirement is not connected.
func (c Command) AbsentResult() json.RawMessage {
	if c.Absent == nil {
		return json.RawMessage("null")
	}
	return c.Absent
}

// UnavailableResult returns the negative result for an isolated satellite: Unavailable, else Absent, else false of a
// Boolean and null of a Null. It is nil where none of these is a result of the command.
func (c Command) UnavailableResult() json.RawMessage {
	switch {
	case c.Unavailable != nil:
		return c.Unavailable
	case c.Absent != nil:
		return c.Absent
	case c.Result == Boolean:
		return json.RawMessage("false")
	case c.Result == Null:
		return json.RawMessage("null")
	}
	return nil
}

// WriteArguments converts EVerest's arguments into those of the legacy function. A missing or ill-typed argument is an
// *everest.CommandError of type SchemaValidationError.
func (c Command) WriteArguments(arguments everest.Args) ([]any, error) {
	if c.Derived {
		text, err := Marshal(arguments)
		return []any{string(text)}, err
	}
	values := make([]any, len(c.Arguments))
	for i, argument := range c.Arguments {
		raw, present := arguments[argument.Name]
		if !present {
			return nil, invalid(argument.Name, errors.New(" is missing"))
		}
		value, err := toWire(argument.Kind, c.enums[argument.Name], raw)
		if err != nil {
			return nil, invalid(argument.Name, fmt.Errorf(": %w", err))
		}
		values[i] = value
	}
	return values, nil
}

func invalid(argument string, cause error) error {
	return &everest.CommandError{Type: everest.SchemaValidationError, Message: "argument " + argument + cause.Error()}
}

// ReadArguments reads the arguments of the legacy function as EVerest's. decode stores the values received into the
// targets, in order. A text that is not an argument's is an *everest.CommandError of type SchemaValidationError.
func (c Command) ReadArguments(decode func(targets ...any) error) (everest.Args, error) {
	if c.Derived {
		var text string
		if err := decode(&text); err != nil {
			return nil, err
		}
		return ParseArguments(text)
	}
	targets := make([]any, len(c.Arguments))
	values := make([]func() (json.RawMessage, error), len(c.Arguments))
	for i, argument := range c.Arguments {
		targets[i], values[i] = fromWire(argument.Kind, c.enums[argument.Name])
	}
	if err := decode(targets...); err != nil {
		return nil, err
	}
	arguments := make(everest.Args, len(c.Arguments))
	for i, argument := range c.Arguments {
		value, err := values[i]()
		if err != nil {
			return nil, invalid(argument.Name, fmt.Errorf(": %w", err))
		}
		arguments[argument.Name] = value
	}
	return arguments, nil
}

// ParseArguments reads arguments that travel by name, as one JSON object.
func ParseArguments(text string) (everest.Args, error) {
	var arguments everest.Args
	if err := json.Unmarshal([]byte(text), &arguments); err != nil {
		return nil, fmt.Errorf("arguments %s are not a JSON object: %w", Clip(text), err)
	}
	return arguments, nil
}

// WriteResult converts EVerest's result into that of the legacy function.
func (c Command) WriteResult(result json.RawMessage) (any, error) {
	return toWire(c.wireResult(), c.enums[""], result)
}

// ReadResult returns a target to decode the legacy function's result into, and a function that then returns the result
// as EVerest's. That function fails where the peer's value is not of the command's kind.
func (c Command) ReadResult() (target any, result func() (json.RawMessage, error)) {
	target, value := fromWire(c.wireResult(), c.enums[""])
	return target, func() (json.RawMessage, error) {
		result, err := value()
		if err != nil {
			return nil, err
		}
		if c.Derived {
			err = check(c.Result, result)
		}
		return c.readable(result), err
	}
}

// ParseResult reads a result that travels as JSON text. It fails where the peer's text is not JSON, or is not of the
// command's kind. So both dialects reject the same results.
func (c Command) ParseResult(text string) (json.RawMessage, error) {
	result, err := parse(text)
	if err != nil {
		return nil, err
	}
	return c.readable(result), check(c.Result, result)
}

// readable returns Unavailable in place of null. The C++ agent returns null where a requirement is not connected, also
// for objects, and a C++ caller fails on it.
func (c Command) readable(result json.RawMessage) json.RawMessage {
	if c.Result == JSON && !c.Derived && c.Unavailable != nil && rawjson.IsNull(result) {
		return c.Unavailable
	}
	return result
}

// wireResult returns how the result travels in the legacy dialect.
func (c Command) wireResult() Kind {
	if c.Derived {
		return JSON
	}
	return c.Result
}
