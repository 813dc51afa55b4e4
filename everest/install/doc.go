// Package install reads the manifest of a module, and writes a module into an EVerest installation.
//
//	PREFIX/libexec/everest/modules/Name/Name            a copy of the running program
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
// When a person starts a module with the flag -install, package program makes this call. The report has a line for each
// file:
//
//	EVerest at /usr has 62 interfaces
//	wrote     /usr/libexec/everest/modules/Doorbell/Doorbell
//	unchanged /usr/share/everest/interfaces/doorbell.yaml
//	wrote     /usr/libexec/everest/modules/Doorbell/manifest.yaml
//	          left out: requirement display (this EVerest has no interface display_message)
//
// [Installation.Install] adapts the manifest to the target. Optional parts whose interface the installed EVerest lacks
// are left out. A mandatory requirement without its interface is an error. A module may have an [Option], which a
// person sets when installing. It changes the manifest further, through a [ManifestEdit]. One example is the list of
// tunnelled interfaces.
//
// At run time a module reads the installed files. [InstalledManifest] returns its manifest, and [InstalledInterfaces]
// returns interface definitions.
//
// What the package promises:
//   - [ParseManifest] rejects every manifest that EVerest's manager would reject. The error names the place of the
//     mistake.
//   - A file is replaced atomically, and only if its content or mode differs. So a running program is not disturbed,
//     and a second installation changes nothing.
//   - After an installation that failed halfway, each file is either the old or the new one. The manifest is written
//     last, because the manager finds a module by its manifest.
//   - A manifest that needs no change is installed with the same bytes. A changed manifest keeps its order and
//     comments.
//   - Without an EVerest at the prefix everything is installed unchanged.
package install
