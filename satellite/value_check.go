package satellite

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// errUnreadableValue means that a value was not published, because C++ modules of the main board cannot read it. It is logged.
var errUnreadableValue = errors.New("not readable for C++ modules of this board")

// valueCheck keeps off the main board what its C++ modules cannot read: see schema.Shape. It logs each place of a variable or
// a result once. A nil check accepts everything.
type valueCheck struct {
	log                *zap.Logger
	table              *route.Table
	variables, results map[valueKey]*schema.Shape
}

// valueKey names a variable or a command of a route.
type valueKey struct{ id, name string }

// newValueCheck compiles the check of everything in the table, by the definitions of the main board.
func newValueCheck(table *route.Table, definitions *schema.Definitions, log *zap.Logger) *valueCheck {
	c := &valueCheck{log: log, table: table, variables: make(map[valueKey]*schema.Shape), results: make(map[valueKey]*schema.Shape)}
	for _, r := range table.Routes() {
		for _, variable := range r.Variables {
			c.variables[valueKey{r.ID, variable.Name}] = definitions.VariableShape(r.Interface, variable.Name)
		}
		for _, command := range r.Commands {
			c.results[valueKey{r.ID, command.Name}] = definitions.ResultShape(r.Interface, command.Name)
		}
	}
	return c
}

// variable returns errUnreadableValue for a value that must not be published.
func (c *valueCheck) variable(id, name string, value json.RawMessage) error {
	if c == nil {
		return nil
	}
	mistake := mistakeIn(c.variables[valueKey{id, name}], value)
	if mistake == nil {
		return nil
	}
	if c.first("variable", id, name, mistake) {
		c.log.Warn("a value of the satellite is dropped: C++ modules of this board cannot read it",
			zap.String("interface", id), zap.String("variable", name), zap.String("place", mistake.Place), zap.Error(mistake))
	}
	return errUnreadableValue
}

// result returns the error of a command whose result must not be returned, nil for any other.
func (c *valueCheck) result(id, command string, result json.RawMessage) *everest.CommandError {
	if c == nil {
		return nil
	}
	mistake := mistakeIn(c.results[valueKey{id, command}], result)
	if mistake == nil {
		return nil
	}
	if c.first("result", id, command, mistake) {
		c.log.Warn("a result of the satellite is rejected: C++ callers cannot read it",
			zap.String("interface", id), zap.String("command", command), zap.String("place", mistake.Place), zap.Error(mistake))
	}
	return &everest.CommandError{Type: everest.SchemaValidationError, Message: mistake.Message}
}

// mistakeIn returns what is wrong with a value, nil where it has the shape.
func mistakeIn(shape *schema.Shape, value json.RawMessage) *schema.Error {
	if shape == nil {
		return nil // it is not in the table
	}
	mistake, _ := errors.AsType[*schema.Error](shape.Check(value))
	return mistake
}

// first reports whether a mistake should be logged. All elements of a list are one place.
func (c *valueCheck) first(what, id, name string, mistake *schema.Error) bool {
	steps := strings.Split(mistake.Place, "/")
	for i, step := range steps {
		if strings.Trim(step, "0123456789") == "" {
			steps[i] = ""
		}
	}
	return c.table.First(what + " " + id + "." + name + strings.Join(steps, "/"))
}

// packetOverhead is how many bytes of a packet on the other board are not the value: the topic, in which the ids of
// modules are, and 34 bytes of JSON around the value.
const packetOverhead = 1 << 10

// limitPackets applies the configuration key max_packet_bytes, 0 for its default: to what the module sends, and to the
// values that the peer is told this board takes.
func limitPackets(module *everest.Module, table *route.Table, maxPacket int) {
	module.SetMaxPacketSize(maxPacket)
	table.SetMaxValue(cmp.Or(maxPacket, everest.MaxPacketSize) - packetOverhead)
}

// valueIntake keeps off the link what cannot be carried to the end: values that are too long for the modules of either
// board, and what those cannot read as JSON. A value that no message of the link can carry would otherwise end one
// connection after the other. What is dropped is counted and logged.
type valueIntake struct {
	log     *zap.Logger
	table   *route.Table
	dropped atomic.Uint64
}

// takes reports whether an event goes to the journal.
func (i *valueIntake) takes(event link.Event) bool {
	err := i.check(event)
	if err == nil {
		return true
	}
	i.dropped.Add(1)
	if event.Kind == link.Variable {
		i.log.Warn("a variable is dropped: the main board could not take it",
			zap.String("interface", event.Interface), zap.String("variable", event.Name), zap.Error(err))
	} else {
		i.log.Warn("an error is dropped: the main board could not take it", zap.Bool("raised", event.Kind == link.Raised), zap.Error(err))
	}
	return false
}

func (i *valueIntake) check(event link.Event) error {
	if size, most := len(event.Value), i.table.MaxValue(); size > most {
		return fmt.Errorf("%w: %d bytes, and modules of the boards take %d at most: see max_packet_bytes", everest.ErrTooLarge, size, most)
	}
	return schema.CheckNumbers(event.Value)
}
