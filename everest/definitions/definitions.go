// Package definitions carries the interface definitions of EVerest 2026.02.0 that charging station modules touch: the
// commands, variables, errors and types of 19 interfaces as data, without descriptions. A program that imports it checks
// what it sends without an EVerest installation at hand.
//
// The files name their origin: see (*everest.Definitions).Meta. Definitions of a vendor's own interfaces are added with
// everest.LoadDefinitionsYAML and everest.MergeDefinitions; those of an installation come from everest.InstalledInterfaces.
package definitions

import (
	_ "embed"

	"github.com/remotechargeport/remotechargeport/everest"
)

var (
	//go:embed interfaces.json
	interfaces []byte
	//go:embed types.json
	types []byte
	//go:embed errors.json
	errorTypes []byte
)

// EVerest parses the embedded definitions. Each call makes a new set, so keep the one you have: its compiled schemas are in it.
func EVerest() (*everest.Definitions, error) {
	return everest.LoadDefinitionsJSON(interfaces, types, errorTypes)
}
