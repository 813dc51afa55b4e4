package everest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// Installed returns the options of a module with Manifest and Definitions filled in where they are nil. They are those of
// the installation at InstallPrefix, which the manager reads too: a manifest that was adapted to its EVerest, and the
// definitions of that release and of a vendor's own interfaces. What the installation does not have, or what cannot be read
// there, is taken from what is built in, and the logger told. The manifest is returned as it is read.
func (o Options) Installed(module string, builtInManifest []byte, builtInDefinitions func() (*schema.Definitions, error)) (Options, *install.Manifest, error) {
	log := o.Logger
	if log == nil {
		log = zap.NewNop()
	}
	if o.Manifest == nil {
		o.Manifest = manifestOf(o.InstallPrefix, module, builtInManifest, log)
	}
	manifest, err := install.ParseManifest(o.Manifest)
	if err != nil {
		return o, nil, fmt.Errorf("%w (manifest of %s)", err, module)
	}
	if o.Definitions == nil {
		o.Definitions, err = definitionsOf(o.InstallPrefix, manifest, builtInDefinitions, log)
	}
	return o, manifest, err
}

func manifestOf(prefix, module string, builtIn []byte, log *zap.Logger) []byte {
	if prefix == "" {
		return builtIn
	}
	installed, err := install.InstalledManifest(prefix, module)
	if err == nil {
		_, err = install.ParseManifest(installed)
	}
	switch {
	case err == nil:
		return installed
	case errors.Is(err, fs.ErrNotExist):
		log.Debug("no manifest is installed: the built-in one counts", zap.String("prefix", prefix))
	default:
		log.Warn("the installed manifest cannot be read: the built-in one counts", zap.Error(err))
	}
	return builtIn
}

// definitionsOf returns the definitions of the manifest's interfaces.
func definitionsOf(prefix string, manifest *install.Manifest, builtIn func() (*schema.Definitions, error), log *zap.Logger) (*schema.Definitions, error) {
	names := map[string]bool{}
	for _, provided := range manifest.Provides {
		names[provided.Interface] = true
	}
	for _, required := range manifest.Requires {
		names[required.Interface] = true
	}
	installed, err := install.InstalledInterfaces(prefix, slices.Sorted(maps.Keys(names))...)
	if err != nil {
		log.Warn("interface definitions of the installation cannot be read: built-in ones count in their place", zap.Error(err))
	}
	found := len(installed.InterfaceNames())
	log.Debug("interface definitions", zap.Int("installed", found), zap.Int("wanted", len(names)))
	if found == len(names) {
		return installed, nil
	}
	known, err := builtIn()
	if err != nil {
		return nil, err
	}
	return installed.Over(known), nil
}
