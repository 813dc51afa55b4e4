package satellite

import (
	_ "embed" // the manifests and the interface are files of their own

	"github.com/remotechargeport/remotechargeport/everest"
)

var (
	//go:embed manifests/SatelliteAgent.yaml
	agentManifest []byte
	//go:embed manifests/SatelliteController.yaml
	controllerManifest []byte
	//go:embed interfaces/satellite.yaml
	satelliteInterface []byte
)

// AgentInstallation is what SatelliteAgent brings into an EVerest installation.
func AgentInstallation() everest.Installation { return installation("SatelliteAgent", agentManifest) }

// ControllerInstallation is what SatelliteController brings into an EVerest
// installation.
func ControllerInstallation() everest.Installation {
	return installation("SatelliteController", controllerManifest)
}

// installation carries the interface `satellite` for both modules: the agent
// does not need it, but either may be installed first.
func installation(module string, manifest []byte) everest.Installation {
	return everest.Installation{
		Module:     module,
		Manifest:   manifest,
		Interfaces: map[string][]byte{routeSatellite: satelliteInterface},
	}
}
