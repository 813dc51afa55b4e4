package satellite

import (
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/definitions"
)

// Definitions returns EVerest's interface definitions and the project's own
// interface `satellite`. Each call makes a new set.
func Definitions() (*everest.Definitions, error) {
	known, err := definitions.EVerest()
	if err != nil {
		return nil, err
	}
	return known.WithInterface(routeSatellite, satelliteInterface)
}
