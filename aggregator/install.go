package aggregator

import (
	_ "embed" // the manifest and the interface are files of their own

	"github.com/remotechargeport/remotechargeport/everest"
)

var (
	//go:embed manifest.yaml
	manifest []byte
	//go:embed interfaces/satellite.yaml
	satelliteInterface []byte
)

// Installation is what SystemAggregator brings into an EVerest installation. The interface satellite is the one that the
// satellite modules bring too: either may be installed first.
func Installation() everest.Installation {
	return everest.Installation{
		Module: "SystemAggregator", Manifest: manifest,
		Interfaces: map[string][]byte{"satellite": satelliteInterface},
	}
}
