package everest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Call calls a command as Required.Call does and returns its decoded result.
func Call[R any](ctx context.Context, r *Required, command string, arguments any) (R, error) {
	var result R
	err := r.Call(ctx, command, arguments, &result)
	return result, err
}

// Subscribe subscribes a variable as Required.Subscribe does, and decodes each value into a T. A value that does not
// decode is logged and dropped.
func Subscribe[T any](r *Required, variable string, handler func(ctx context.Context, value T), options ...SubscribeOption) {
	topic := r.module.wire.VariableTopic(r.base, variable)
	r.Subscribe(variable, func(ctx context.Context, raw json.RawMessage) {
		var value T
		if err := json.Unmarshal(raw, &value); err != nil {
			r.module.dropped.drop(topic, err)
			return
		}
		handler(ctx, value)
	}, options...)
}

// Handle handles a command as Provided.Handle does, and decodes the arguments into an A. An A is usually a struct with
// one field for each argument. Fields are required unless they are pointers, or their json tag has omitempty or
// omitzero. A call without a required field gets an error reply of type HandlerException.
func Handle[A, R any](p *Provided, command string, handler func(ctx context.Context, arguments A) (R, error)) {
	required := requiredFields(reflect.TypeFor[A]())
	p.Handle(command, func(ctx context.Context, arguments Args) (any, error) {
		for _, name := range required {
			if _, given := arguments[name]; !given {
				return nil, &CommandError{Type: HandlerException, Message: fmt.Sprintf("argument %q is missing", name)}
			}
		}
		var decoded A
		if err := arguments.decodeAll(&decoded); err != nil {
			return nil, err
		}
		return handler(ctx, decoded)
	})
}

// requiredFields returns the JSON names of a struct's required fields.
func requiredFields(structure reflect.Type) []string {
	if structure.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for i := range structure.NumField() {
		field := structure.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero") || field.Type.Kind() == reflect.Pointer
		if !field.IsExported() || field.Anonymous || name == "-" || optional {
			continue
		}
		if name == "" {
			continue // encoding/json takes it in any case of letters
		}
		names = append(names, name)
	}
	return names
}
