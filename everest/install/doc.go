// Package install reads the manifest of a module, and writes a module into an EVerest installation.
//
//	PREFIX/libexec/everest/modules/Name/Name            the program, copied from itself
//	PREFIX/libexec/everest/modules/Name/manifest.yaml   adapted to the EVerest at the prefix
//	PREFIX/share/everest/interfaces/own.yaml            the interfaces that the module brings
//
// ParseManifest refuses what EVerest's manager refuses, so that a manifest that passes here does not fail on a board.
// Installation.Install adapts the manifest to the target: optional parts whose interface the installed EVerest lacks are
// left out, and a report says so. An Option lets a person change more at the installation, such as the list of tunnelled
// interfaces.
//
// Files are replaced atomically and only where they differ. An installation that fails in between leaves each file either
// old or new, and the manifest is written last.
package install
