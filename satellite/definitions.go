package satellite

import (
	_ "embed" // the manifests and the interface are files of their own

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

var (
	//go:embed manifests/SatelliteAgent.yaml
	agentManifest []byte
	//go:embed manifests/SatelliteController.yaml
	controllerManifest []byte
	//go:embed interfaces/satellite.yaml
	satelliteInterface []byte
)

// Definitions returns EVerest's interface definitions and the project's own
// interface `satellite`. Each call makes a new set.
func Definitions() (*schema.Definitions, error) {
	known, err := schema.BuiltIn()
	if err != nil {
		return nil, err
	}
	return known.WithInterface(route.Satellite, satelliteInterface)
}

// requiredInterfaces returns the interfaces of a manifest's requirements, by id.
func requiredInterfaces(manifest *install.Manifest) map[string]string {
	interfaces := make(map[string]string, len(manifest.Requires))
	for id, required := range manifest.Requires {
		interfaces[id] = required.Interface
	}
	return interfaces
}

// providedInterfaces returns the interfaces of a manifest's implementations, by id.
func providedInterfaces(manifest *install.Manifest) map[string]string {
	interfaces := make(map[string]string, len(manifest.Provides))
	for id, provided := range manifest.Provides {
		interfaces[id] = provided.Interface
	}
	return interfaces
}
