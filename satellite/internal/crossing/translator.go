package crossing

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/rawjson"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// Place is the satellite's place on the main board.
type Place struct {
	// Module is the controller's module id.
	Module string
	// EVSE is the satellite's EVSE in the main board's mapping, 0 where none is mapped. Mapping is the one that errors
	// of the satellite carry, nil for none.
	EVSE    int
	Mapping *everest.Mapping
	// Reader is the mapping of the satellite's RFID reader, nil for none.
	Reader *everest.Mapping
	// Report is called with an identifier that cannot be translated, and the remedy. It may be called often with one
	// text, and must not call the Translator.
	Report func(text string)
}

// Translator translates the identifiers of one satellite. What it learns from the satellite's values is kept: the uuid
// of the energy node and the number of the EVSE.
type Translator struct {
	place        Place
	verbatim     bool
	quotedModule json.RawMessage
	targets      map[key][]target

	mu        sync.Mutex
	root      string // the uuid of the satellite's energy node
	rootKnown bool
	evse      int // the number of the satellite's EVSE there, 0 while it is not known
	// elsewhere is set by the rule of an identifier that is of another EVSE.
	elsewhere bool
}

// key names a value that crosses.
type key struct {
	kind               kind
	id, name, argument string
}

// New returns a Translator for a satellite.
func New(place Place) *Translator {
	t := &Translator{place: place, quotedModule: rawjson.AppendString(nil, place.Module), targets: make(map[key][]target)}
	for _, row := range table {
		at := key{row.kind, row.id, row.name, row.argument}
		t.targets[at] = append(t.targets[at], target{parsePath(row.path), row.rule})
	}
	return t
}

// Verbatim returns a Translator that leaves identifiers as they are, as the C++ modules do. Only tokens of the RFID
// reader get their EVSE.
func Verbatim(place Place) *Translator { return &Translator{place: place, verbatim: true} }

// Translates reports whether identifiers are translated.
func (t *Translator) Translates() bool { return !t.verbatim }

// Variable returns the value of a satellite's variable as the main board must see it.
func (t *Translator) Variable(id, name string, value json.RawMessage) (json.RawMessage, error) {
	targets := t.targets[key{kind: variable, id: id, name: name}]
	if len(targets) > 0 {
		t.mu.Lock()
		translated, err := t.splice(value, targets)
		t.mu.Unlock()
		if err != nil {
			return nil, fmt.Errorf("identifiers of %s.%s: %w", id, name, err)
		}
		value = translated
	}
	if id == route.RFID && name == "provided_token" {
		return t.withConnectors(value)
	}
	return value, nil
}

// Result returns the result of a satellite's command as the main board must see it.
func (t *Translator) Result(id, command string, value json.RawMessage) (json.RawMessage, error) {
	targets := t.targets[key{kind: result, id: id, name: command}]
	if len(targets) == 0 {
		return value, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	translated, err := t.splice(value, targets)
	if err != nil {
		return nil, fmt.Errorf("identifiers in the result of %s.%s: %w", id, command, err)
	}
	return translated, nil
}

// Arguments returns the arguments of a command as the satellite must see them. carried is false for a command that is
// for another EVSE: the satellite must not get it.
func (t *Translator) Arguments(id, command string, arguments everest.Args) (translated everest.Args, carried bool, err error) {
	copied := false
	for name, value := range arguments {
		targets := t.targets[key{argument, id, command, name}]
		if len(targets) == 0 {
			continue
		}
		t.mu.Lock()
		t.elsewhere = false
		changed, err := t.splice(value, targets)
		elsewhere := t.elsewhere
		t.mu.Unlock()
		switch {
		case err != nil:
			return nil, false, fmt.Errorf("identifiers in argument %s of %s.%s: %w", name, id, command, err)
		case elsewhere:
			return nil, false, nil
		case !copied:
			arguments, copied = maps.Clone(arguments), true
		}
		arguments[name] = changed
	}
	return arguments, true, nil
}

// withConnectors adds the EVSE of the RFID reader to a token that names none, so that Auth knows it. Auth compares EVSE
// numbers. The C++ controller writes the connector's number where one is mapped, and verbatim does the same.
func (t *Translator) withConnectors(token json.RawMessage) (json.RawMessage, error) {
	mapping := t.place.Reader
	if mapping == nil {
		return token, nil
	}
	number := mapping.EVSE
	if t.verbatim && mapping.Connector != nil {
		number = *mapping.Connector
	}
	completed, err := rawjson.Complete(token, []rawjson.Member{{Name: "connectors", Value: json.RawMessage("[" + strconv.Itoa(number) + "]")}},
		func(rawjson.Member) json.RawMessage { return nil })
	if err != nil {
		return nil, fmt.Errorf("provided token %s cannot be read: %w", clip(token), err)
	}
	return completed, nil
}

func (t *Translator) report(text string) {
	if t.place.Report != nil {
		t.place.Report(text)
	}
}
