// Package install reads the manifest of a module, and writes a module into an EVerest installation.
//
//	PREFIX/libexec/everest/modules/Name/Name            the program, copied from itself
//	PREFIX/libexec/everest/modules/Name/manifest.yaml   adapted to the EVerest at the prefix
//	PREFIX/share/everest/interfaces/own.yaml            the interfaces that the module brings
//
// A module embeds its manifest, and describes what belongs to it:
//
//	//go:embed manifest.yaml
//	var manifest []byte
//
//	report, err := install.Installation{
//		Module:     "Doorbell",
//		Manifest:   manifest,
//		Interfaces: map[string][]byte{"doorbell": doorbell},
//	}.Install("/usr", executable, nil)
//
// Package program does that for the flag -install. The report has a line for each file:
//
//	EVerest at /usr has 62 interfaces
//	wrote     /usr/libexec/everest/modules/Doorbell/Doorbell
//	unchanged /usr/share/everest/interfaces/doorbell.yaml
//	wrote     /usr/libexec/everest/modules/Doorbell/manifest.yaml
//	          left out: requirement display (this EVerest has no interface display_message)
//
// [Installation.Install] adapts the manifest to the target. Optional parts whose interface the installed EVerest lacks
// are left out. A mandatory requirement without its interface is an error. An [Option] lets a person change more at the
// installation, through a [ManifestEdit]: the list of tunnelled interfaces, for instance.
//
// A module reads at run time what was installed: [InstalledManifest] is its own manifest, [InstalledInterfaces] has the
// definitions of the interfaces that it names.
//
// What the package promises:
//   - [ParseManifest] rejects what EVerest's manager rejects, so that a manifest that passes here does not fail on a
//     board. The error names the place.
//   - Files are replaced atomically and only where they differ: a running program is not disturbed, and a second
//     installation changes nothing.
//   - An installation that fails in between leaves each file either old or new, and the manifest is written last. With
//     the manifest the manager takes the module for installed.
//   - A manifest that needs no change is written byte by byte, a changed one keeps its order and its comments.
//   - Without an EVerest at the prefix everything is installed unchanged.
package install
