package everest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/internal/rawjson"
)

// Parameter is one configuration parameter, read from the manager's config service.
type Parameter struct {
	Name  string
	Value json.RawMessage
	// Datatype is "string", "number", "integer" or "bool".
	Datatype string
	// Mutability is "ReadOnly", "ReadWrite" or "WriteOnly".
	Mutability string
	// Unit may be empty.
	Unit string
}

// UnmarshalJSON reads the wire form.
func (p *Parameter) UnmarshalJSON(text []byte) error {
	var fields struct {
		Name            string          `json:"name"`
		Value           json.RawMessage `json:"value"`
		Characteristics struct {
			Datatype   string `json:"datatype"`
			Mutability string `json:"mutability"`
			Unit       string `json:"unit"`
		} `json:"characteristics"`
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	*p = Parameter{
		Name: fields.Name, Value: fields.Value,
		Datatype: fields.Characteristics.Datatype, Mutability: fields.Characteristics.Mutability, Unit: fields.Characteristics.Unit,
	}
	return nil
}

// Decode stores the value in the variable that dst points to. A whole number such as 4.0 fits an integer variable. A
// variable of another type is filled as json.Unmarshal would fill it.
func (p Parameter) Decode(dst any) error {
	target := reflect.ValueOf(dst)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("everest: parameter %q: decode into %T, which is no pointer", p.Name, dst)
	}
	if err := setParameter(target.Elem(), p.Value); err != nil {
		return fmt.Errorf("everest: parameter %q: %w", p.Name, err)
	}
	return nil
}

// decodeParameters fills the fields of a struct that have the tag everest:"name". A missing parameter is an error,
// unless the tag ends in ",optional"; the field then keeps its value.
func decodeParameters(where string, parameters []Parameter, dst any) error {
	target := reflect.ValueOf(dst)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("everest: %s: decode into %T, which is no pointer to a struct", where, dst)
	}
	target = target.Elem()
	for i := range target.NumField() {
		field := target.Type().Field(i)
		tag, tagged := field.Tag.Lookup("everest")
		if !tagged {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		if !field.IsExported() || name == "" || option != "" && option != "optional" {
			return fmt.Errorf("everest: %s: field %s with the tag everest:%q cannot be filled: it must be exported, the tag a name, with \",optional\" or nothing behind it",
				where, field.Name, tag)
		}
		parameter, found := findParameter(parameters, name)
		if !found {
			if option == "optional" {
				continue
			}
			return fmt.Errorf("everest: %s: parameter %q is missing, set it in the manager's configuration file", where, name)
		}
		if err := setParameter(target.Field(i), parameter.Value); err != nil {
			return fmt.Errorf("everest: %s: parameter %q: %w", where, name, err)
		}
	}
	return nil
}

func findParameter(parameters []Parameter, name string) (Parameter, bool) {
	for _, parameter := range parameters {
		if parameter.Name == name {
			return parameter, true
		}
	}
	return Parameter{}, false
}

func setParameter(target reflect.Value, value json.RawMessage) error {
	switch {
	case target.CanInt():
		number, err := wholeNumber(value)
		if err != nil {
			return err
		}
		if target.OverflowInt(number) {
			return fmt.Errorf("%d does not fit a %s", number, target.Type())
		}
		target.SetInt(number)
		return nil
	case target.CanUint():
		number, err := wholeNumber(value)
		if err != nil {
			return err
		}
		if number < 0 || target.OverflowUint(uint64(number)) {
			return fmt.Errorf("%d does not fit a %s", number, target.Type())
		}
		target.SetUint(uint64(number))
		return nil
	}
	if rawjson.IsNull(value) {
		return errors.New("it has no value")
	}
	if err := json.Unmarshal(value, target.Addr().Interface()); err != nil {
		return fmt.Errorf("want a %s, not %.60s", target.Type(), value)
	}
	return nil
}

// wholeNumber also accepts 4.0, because the manager writes the value of a "number" in that form.
func wholeNumber(value json.RawMessage) (int64, error) {
	var number int64
	if json.Unmarshal(value, &number) == nil && !rawjson.IsNull(value) {
		return number, nil
	}
	var float float64
	if rawjson.IsNull(value) || json.Unmarshal(value, &float) != nil || float != math.Trunc(float) || math.Abs(float) > 1<<53 {
		return 0, fmt.Errorf("want a whole number, not %.60s", value)
	}
	return int64(float), nil
}
