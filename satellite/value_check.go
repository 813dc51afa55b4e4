package satellite

import (
	"encoding/json"
	"errors"
	"strings"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
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
