package everesttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// contract checks what modules say against their manifests and the interface definitions.
type contract struct {
	modules     map[string]*managedModule
	definitions *schema.Definitions
}

// check returns an error for a message that the definitions do not allow. It names the module, the implementation or
// requirement, the variable, command or error, and the place in the value.
func (c contract) check(said content) error {
	provider, known := c.modules[said.ModuleID]
	if !known {
		return fmt.Errorf("there is no module %s; the configuration has %s", said.ModuleID, orNone(slices.Sorted(maps.Keys(c.modules))))
	}
	provided, known := provider.manifest.Provides[said.ImplementationID]
	if !known {
		return fmt.Errorf("module %s: there is no implementation %s; its manifest has %s",
			said.ModuleID, said.ImplementationID, orNone(provider.manifest.ImplementationIDs()))
	}
	place := fmt.Sprintf("module %s: implementation %s", said.ModuleID, said.ImplementationID)
	if said.Kind == KindCommand {
		requirement, err := c.requirementOf(said)
		if err != nil {
			return err
		}
		place = fmt.Sprintf("module %s: requirement %s", said.Caller, requirement)
	}
	if err := checkSaid(c.definitions, provided.Interface, said); err != nil {
		return fmt.Errorf("%s (interface %s): %w", place, provided.Interface, err)
	}
	return nil
}

// requirementOf returns the requirement by which the caller of a command is connected to its provider, as in "port[1]".
func (c contract) requirementOf(call content) (string, error) {
	caller, known := c.modules[call.Caller]
	if !known {
		return "", fmt.Errorf("the caller is module %s, which the configuration does not have, so that nobody gets the reply", call.Caller)
	}
	for _, requirement := range slices.Sorted(maps.Keys(caller.config.Connections)) {
		connections := caller.config.Connections[requirement]
		i := slices.Index(connections, Connection{call.ModuleID, call.ImplementationID})
		if i < 0 {
			continue
		}
		if len(connections) > 1 {
			requirement += "[" + strconv.Itoa(i) + "]"
		}
		return requirement, nil
	}
	return "", fmt.Errorf("module %s calls %s of %s.%s, to which none of its requirements is connected",
		call.Caller, call.Name, call.ModuleID, call.ImplementationID)
}

// checkSaid checks a variable, a command, a reply or an error of an interface.
func checkSaid(definitions *schema.Definitions, interfaceName string, said content) error {
	definition, known := definitions.Interface(interfaceName)
	if !known {
		return nil
	}
	switch said.Kind {
	case KindVariable:
		if definition.Variables[said.Name] == nil {
			return undeclared("variable", said.Name, slices.Sorted(maps.Keys(definition.Variables)))
		}
		return definitions.CheckVariable(interfaceName, said.Name, said.value)
	case KindCommand:
		if definition.Commands[said.Name] == nil {
			return undeclared("command", said.Name, slices.Sorted(maps.Keys(definition.Commands)))
		}
		var arguments map[string]json.RawMessage // null is none
		if err := json.Unmarshal(said.value, &arguments); err != nil {
			return fmt.Errorf("command %s: the arguments are no object: %w", said.Name, err)
		}
		return definitions.CheckArguments(interfaceName, said.Name, arguments)
	case KindReply:
		if definition.Commands[said.Name] == nil {
			return undeclared("command", said.Name, slices.Sorted(maps.Keys(definition.Commands)))
		}
		if said.failed {
			return nil
		}
		return definitions.CheckResult(interfaceName, said.Name, said.value)
	case KindError:
		return checkErrorType(definition, said.Name)
	}
	return nil
}

func checkErrorType(definition *schema.Interface, errorType string) error {
	if definition.HasErrorType(errorType) {
		return nil
	}
	namespace, _, _ := strings.Cut(errorType, "/")
	if slices.ContainsFunc(definition.MissingErrorReferences, func(reference string) bool {
		list, _, _ := strings.Cut(reference, "#")
		return list == "/errors/"+namespace
	}) {
		return fmt.Errorf("error %s: the interface refers to the error list %s, which the definitions do not have; add it with WithErrors", errorType, namespace)
	}
	return undeclared("error", errorType, definition.ErrorTypes)
}

func undeclared(what, name string, declared []string) error {
	return fmt.Errorf("%s %s is not declared; the interface has %s", what, name, orNone(declared))
}

// checkRegistrations returns what a module has registered wrongly.
func (c contract) checkRegistrations(id string, told everest.Registrations) error {
	module := c.modules[id]
	var faults []error
	fault := func(format string, arguments ...any) {
		faults = append(faults, fmt.Errorf("module "+id+": "+format, arguments...))
	}
	for _, implementation := range module.manifest.ImplementationIDs() {
		name := module.manifest.Provides[implementation].Interface
		definition, known := c.definitions.Interface(name)
		if !known {
			continue
		}
		for _, command := range told.Commands[implementation] {
			if definition.Commands[command] == nil {
				fault("implementation %s (interface %s): has a handler, but %w", implementation, name, undeclared("command", command, slices.Sorted(maps.Keys(definition.Commands))))
			}
		}
		for _, command := range slices.Sorted(maps.Keys(definition.Commands)) {
			if !slices.Contains(told.Commands[implementation], command) {
				fault("implementation %s (interface %s): command %s has no handler; register one, which may return an error", implementation, name, command)
			}
		}
	}
	for _, requirement := range slices.Sorted(maps.Keys(told.Variables)) {
		name := module.manifest.Requires[requirement].Interface
		definition, known := c.definitions.Interface(name)
		if !known {
			continue
		}
		for _, variable := range told.Variables[requirement] {
			if definition.Variables[variable] == nil {
				fault("requirement %s (interface %s): is subscribed to, but %w", requirement, name, undeclared("variable", variable, slices.Sorted(maps.Keys(definition.Variables))))
			}
		}
	}
	return errors.Join(faults...)
}

// faults collects what is wrong, each fault once.
type faults struct {
	texts  []string
	counts map[string]int
}

// maxFaults is how many different faults are kept. Further ones are counted only.
const maxFaults = 50

// add adds a fault. key tells equal faults.
func (f *faults) add(key, text string) {
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	if f.counts[key] == 0 && len(f.counts) == maxFaults {
		key, text = "", "everesttest: further faults"
	}
	if f.counts[key]++; f.counts[key] == 1 {
		f.texts = append(f.texts, key, text)
	}
}

// list returns the faults with how often each came.
func (f *faults) list() []string {
	var lines []string
	for i := 0; i < len(f.texts); i += 2 {
		line := f.texts[i+1]
		if count := f.counts[f.texts[i]]; count > 1 {
			line += fmt.Sprintf(" (%d times)", count)
		}
		lines = append(lines, line)
	}
	return lines
}
