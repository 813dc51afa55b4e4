package aggregator

import (
	_ "embed" // the manifest and the interface are files of their own
	"errors"
	"fmt"
	"strconv"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

var (
	//go:embed manifest.yaml
	manifest []byte
	//go:embed interfaces/satellite.yaml
	satelliteInterface []byte
)

// Installation returns the files of SystemAggregator for an EVerest installation. The files include the interface
// satellite. The satellite modules install the same file, so the order of the installations does not matter.
//
// The manifest allows 64 satellite boards. The option satellites raises this number. A later installation without the
// option keeps the raised number.
func Installation() install.Installation {
	return install.Installation{
		Module: moduleName, Manifest: manifest,
		Interfaces: map[string][]byte{"satellite": satelliteInterface},
		Options: []install.Option{{
			Name:  "satellites",
			Usage: "the largest number of satellite boards, 64 to 1000",
			Apply: allowSatellites,
		}},
	}
}

// moduleName is what EVerest configurations call the module.
const moduleName = "SystemAggregator"

// Definitions returns EVerest's interface definitions, the project's own interface satellite, and what the module uses of
// EVerest's interface ocpp. Each call makes a new set.
func Definitions() (*schema.Definitions, error) {
	known, err := schema.BuiltIn()
	if err != nil {
		return nil, err
	}
	if known, err = known.WithInterface("satellite", satelliteInterface); err != nil {
		return nil, err
	}
	return known.WithInterface(ocpp, []byte(ocppInterface))
}

const (
	builtInSatellites = 64
	maxSatellites     = 1000
)

func allowSatellites(edit *install.ManifestEdit, value string, given bool) error {
	count := builtInSatellites
	if installed := edit.Installed(); installed != nil && !given {
		count = max(count, min(installed.Requires["satellite"].MaxConnections, maxSatellites))
	}
	if given {
		var err error
		if count, err = strconv.Atoi(value); err != nil || count < builtInSatellites || count > maxSatellites {
			return fmt.Errorf("%q is not a number from %d to %d", value, builtInSatellites, maxSatellites)
		}
	}
	if count == builtInSatellites {
		return nil
	}
	edit.Note("satellites: at most %d", count)
	// The main board is a system too.
	return errors.Join(edit.Require("system", "system", 2, count+1), edit.Require("satellite", "satellite", 1, count))
}
