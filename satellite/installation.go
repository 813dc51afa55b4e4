package satellite

import (
	_ "embed" // the manifests and the interface are files of their own
	"encoding/json"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// Names of the modules, as EVerest configurations refer to them.
const (
	agentModule      = "SatelliteAgent"
	controllerModule = "SatelliteController"
	parameterTunnel  = "tunnel"
)

// AgentInstallation returns what SatelliteAgent installs into an EVerest installation. Its option tunnel adds an
// optional requirement for each further interface to tunnel.
func AgentInstallation() install.Installation {
	return installation(agentModule, agentManifest, func(edit *install.ManifestEdit, extra route.Extra) error {
		return edit.Require(extra.ID, extra.Interface, 0, 1)
	})
}

// ControllerInstallation returns what SatelliteController installs into an EVerest installation. Its option tunnel adds
// an implementation for each further interface to tunnel.
func ControllerInstallation() install.Installation {
	return installation(controllerModule, controllerManifest, func(edit *install.ManifestEdit, extra route.Extra) error {
		return edit.Provide(extra.ID, extra.Interface, "Tunnelled from the satellite by its definition.")
	})
}

// installation has the interface `satellite` for both modules. The agent does not need it, but either module may be
// installed first.
func installation(module string, manifest []byte, add func(*install.ManifestEdit, route.Extra) error) install.Installation {
	return install.Installation{
		Module:     module,
		Manifest:   manifest,
		Interfaces: map[string][]byte{route.Satellite: satelliteInterface},
		Options: []install.Option{{
			Name:  parameterTunnel,
			Usage: "the names of further interfaces to tunnel, separated by commas",
			Apply: func(edit *install.ManifestEdit, value string, given bool) error {
				return applyTunnel(edit, value, given, add)
			},
		}},
	}
}

// applyTunnel writes the further interfaces into the manifest. Without the option it keeps those of the installed
// manifest: an update of the module must not remove them.
func applyTunnel(edit *install.ManifestEdit, value string, given bool, add func(*install.ManifestEdit, route.Extra) error) error {
	if !given {
		value = installedTunnel(edit.Installed())
	}
	extras, err := route.ParseExtras(value)
	if err != nil {
		return err
	}
	kept := extras[:0:0]
	for _, extra := range extras {
		if !edit.Target().Has(extra.Interface) {
			if given {
				return fmt.Errorf("this EVerest has no interface %s in share/everest/interfaces: put its definition there first", extra.Interface)
			}
			edit.Note("left out: tunnel %s (this EVerest has no interface %s any more)", extra, extra.Interface)
			continue
		}
		if err := add(edit, extra); err != nil {
			return err
		}
		kept = append(kept, extra)
	}
	if len(kept) == 0 {
		return nil
	}
	choice := "as before"
	if given {
		choice = "as chosen"
	}
	edit.Note("tunnel: %s (%s)", route.FormatExtras(kept), choice)
	return edit.SetDefault(parameterTunnel, route.FormatExtras(kept))
}

// installedTunnel returns the further interfaces of an installed manifest.
func installedTunnel(installed *install.Manifest) (names string) {
	if installed == nil {
		return ""
	}
	// A default that is not a text names no interface.
	if json.Unmarshal(installed.Config[parameterTunnel].Default, &names) != nil {
		return ""
	}
	return names
}

var (
	//go:embed manifests/SatelliteAgent.yaml
	agentManifest []byte
	//go:embed manifests/SatelliteController.yaml
	controllerManifest []byte
	//go:embed interfaces/satellite.yaml
	satelliteInterface []byte
)

// Definitions returns EVerest's interface definitions and the project's own interface `satellite`. Each call makes a
// new set.
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
