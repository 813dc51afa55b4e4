package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const followingManifest = `# a comment that stays
description: >-
  Follows the EVerest
  that it is installed in.
config:
  others:
    description: Names of others.
    type: string
    default: ""
provides:
  main:
    interface: echo
    description: An own interface.
  uk:
    interface: uk_random_delay
    description: Not in every release.
requires:
  energy:
    interface: energy
  derate:
    interface: dc_external_derate
    min_connections: 0
    max_connections: 1
metadata:
  license: https://www.apache.org/licenses/LICENSE-2.0
  authors:
    - somebody
`

const echoDefinition = `description: Echo.
errors:
  - reference: /errors/generic
  - reference: /errors/over_voltage_monitor
`

func following() Installation {
	return Installation{
		Module: "Following", Manifest: []byte(followingManifest),
		Interfaces: map[string][]byte{"echo": []byte(echoDefinition)},
		Options: []Option{{Name: "others", Usage: "names", Apply: func(edit *ManifestEdit, value string, given bool) error {
			if !given && edit.Installed() != nil {
				value = strings.Trim(string(edit.Installed().Config["others"].Default), `"`)
			}
			if value == "" {
				return nil
			}
			edit.Note("others: %s", value)
			if err := edit.Require(value, value, 0, 7); err != nil {
				return err
			}
			if err := edit.Provide("also_"+value, value, "Added at the installation."); err != nil {
				return err
			}
			return edit.SetDefault("others", value)
		}}},
	}
}

// everestAt makes a tree that looks like an EVerest with these interfaces and
// error lists.
func everestAt(t *testing.T, interfaces, errors []string) string {
	t.Helper()
	prefix := t.TempDir()
	for folder, names := range map[string][]string{"interfaces": interfaces, "errors": errors, "types": {"energy"}} {
		directory := filepath.Join(prefix, "share/everest", folder)
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(directory, name+".yaml"), []byte("description: some\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return prefix
}

func install(t *testing.T, i Installation, prefix string, chosen map[string]string) (manifest string, report string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!program"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines, err := i.Install(prefix, program, chosen)
	if err != nil {
		t.Fatal(err)
	}
	content, err := InstalledManifest(prefix, i.Module)
	if err != nil {
		t.Fatal(err)
	}
	return string(content), strings.ReplaceAll(strings.Join(lines, "\n"), prefix, "PREFIX")
}

// TestInstallFollowsTheErrorLists: an error that the EVerest's list lacks is left out, as a list that it lacks is. Its manager would take the
// interface, and no module would hear the error.
func TestInstallFollowsTheErrorLists(t *testing.T) {
	i := following()
	i.Interfaces = map[string][]byte{"echo": []byte("description: Echo.\nerrors:\n  - reference: /errors/generic#/CommunicationFault\n  - reference: /errors/generic#/VendorWarning\n")}
	for name, list := range map[string]string{
		"neither is there": "description: some\n",
		"one is there":     "description: some\nerrors:\n  - name: CommunicationFault\n    description: some\n",
		"both are there":   "description: some\nerrors:\n  - name: CommunicationFault\n    description: some\n  - name: VendorWarning\n    description: some\n",
	} {
		prefix := everestAt(t, []string{"energy", "uk_random_delay", "dc_external_derate"}, []string{"generic"})
		if err := os.WriteFile(filepath.Join(prefix, "share/everest/errors/generic.yaml"), []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		_, report := install(t, i, prefix, nil)
		installed, err := os.ReadFile(filepath.Join(prefix, "share/everest/interfaces/echo.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, reference := range []string{"CommunicationFault", "VendorWarning"} {
			kept := strings.Contains(list, reference)
			if strings.Contains(string(installed), "#/"+reference) != kept || strings.Contains(report, "left out: errors /errors/generic#/"+reference) == kept {
				t.Errorf("%s: %s is treated wrongly:\n%s\n%s", name, reference, installed, report)
			}
		}
	}
}

// TestInstallNamesADamagedErrorList: EVerest's manager would not start with it.
func TestInstallNamesADamagedErrorList(t *testing.T) {
	i := following()
	i.Interfaces = map[string][]byte{"echo": []byte("description: Echo.\nerrors:\n  - reference: /errors/generic#/VendorWarning\n")}
	prefix := everestAt(t, []string{"energy", "uk_random_delay", "dc_external_derate"}, []string{"generic"})
	if err := os.WriteFile(filepath.Join(prefix, "share/everest/errors/generic.yaml"), []byte("errors: [{description: some}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Install(prefix, program, nil); err == nil || !strings.Contains(err.Error(), "errors/generic.yaml") {
		t.Errorf("installed with a list that nobody can read: %v", err)
	}
}

func TestInstallFollowsTheTarget(t *testing.T) {
	all := []string{"energy", "uk_random_delay", "dc_external_derate", "vendor"}
	lists := []string{"generic", "over_voltage_monitor"}
	for _, test := range []struct {
		name               string
		interfaces, errors []string
		chosen             map[string]string
		remove, add        []string // lines of the manifest
		report             string
	}{
		{name: "a full EVerest", interfaces: all, errors: lists, report: `EVerest at PREFIX has 4 interfaces
wrote     PREFIX/libexec/everest/modules/Following/Following
wrote     PREFIX/share/everest/interfaces/echo.yaml
wrote     PREFIX/libexec/everest/modules/Following/manifest.yaml`},
		{name: "an old EVerest", interfaces: []string{"energy"}, errors: lists[:1],
			remove: []string{
				"  uk:", "    interface: uk_random_delay", "    description: Not in every release.",
				"  derate:", "    interface: dc_external_derate", "    min_connections: 0", "    max_connections: 1",
			},
			report: `EVerest at PREFIX has 1 interfaces
wrote     PREFIX/libexec/everest/modules/Following/Following
wrote     PREFIX/share/everest/interfaces/echo.yaml
          left out: errors /errors/over_voltage_monitor (not in this EVerest)
wrote     PREFIX/libexec/everest/modules/Following/manifest.yaml
          left out: implementation uk (this EVerest has no interface uk_random_delay)
          left out: requirement derate (this EVerest has no interface dc_external_derate)`},
		{name: "with an option", interfaces: all, errors: lists, chosen: map[string]string{"others": "vendor"},
			remove: []string{`    default: ""`},
			add: []string{
				"  also_vendor:", "    interface: vendor", "    description: Added at the installation.",
				"  vendor:", "    interface: vendor", "    min_connections: 0", "    max_connections: 7",
				"    default: vendor",
			},
			report: `EVerest at PREFIX has 4 interfaces
wrote     PREFIX/libexec/everest/modules/Following/Following
wrote     PREFIX/share/everest/interfaces/echo.yaml
wrote     PREFIX/libexec/everest/modules/Following/manifest.yaml
          others: vendor`},
	} {
		t.Run(test.name, func(t *testing.T) {
			prefix := everestAt(t, test.interfaces, test.errors)
			manifest, report := install(t, following(), prefix, test.chosen)
			if diff := cmp.Diff(test.report, report); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			want, got := lineCounts(followingManifest), lineCounts(manifest)
			for _, line := range test.remove {
				want[line]--
			}
			for _, line := range test.add {
				want[line]++
			}
			// A folded text may be folded anew.
			for _, counts := range []map[string]int{want, got} {
				for line, count := range counts {
					if count == 0 || strings.Contains(line, "ollows the EVerest") || strings.Contains(line, "that it is installed") {
						delete(counts, line)
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("manifest's lines (-want +got):\n%s", diff)
			}
			parsed, err := ParseManifest([]byte(manifest))
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Description != "Follows the EVerest that it is installed in." {
				t.Errorf("description %q", parsed.Description)
			}
			again, second := install(t, following(), prefix, nil)
			if again != manifest || strings.Contains(second, "wrote") {
				t.Errorf("the second installation changed something:\n%s", second)
			}
		})
	}
}

func lineCounts(text string) map[string]int {
	counts := map[string]int{}
	for line := range strings.Lines(text) {
		counts[strings.TrimSuffix(line, "\n")]++
	}
	return counts
}

func TestInstallRefuses(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		interfaces []string
		chosen     map[string]string
		manifest   string
		want       string
	}{
		{interfaces: []string{"uk_random_delay"}, want: "no interface energy, which this module cannot do without"},
		{interfaces: []string{"energy"}, chosen: map[string]string{"tunnel": "x"}, want: "no option -tunnel"},
		{interfaces: []string{"energy"}, chosen: map[string]string{"others": "a b"}, want: `a b`},
		{interfaces: []string{"energy"}, manifest: "a: [", want: "manifest"},
	} {
		installation := following()
		if test.manifest != "" {
			installation.Manifest = []byte(test.manifest)
		}
		prefix := everestAt(t, test.interfaces, nil)
		_, err := installation.Install(prefix, program, test.chosen)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want one with %q", err, test.want)
		}
		if _, err := os.Stat(filepath.Join(prefix, "libexec")); err == nil {
			t.Errorf("%s: something is installed all the same", test.want)
		}
	}
}
