package satellite

import _ "embed" // the manifests and the interface are files of their own

var (
	//go:embed manifests/SatelliteAgent.yaml
	agentManifest []byte
	//go:embed manifests/SatelliteController.yaml
	controllerManifest []byte
	//go:embed interfaces/satellite.yaml
	satelliteInterface []byte
)
