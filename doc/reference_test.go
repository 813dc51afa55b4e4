package doc

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/program"
	"github.com/remotechargeport/remotechargeport/satellite"
)

var writeReference = flag.Bool("doc.reference", false, "write reference.md anew, from the manifests and from what the programs read")

// reference.md has every configuration key and every flag.
func TestReference(t *testing.T) {
	text, err := reference(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if *writeReference {
		if err := os.WriteFile("reference.md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile("reference.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(written), text); diff != "" {
		t.Errorf("reference.md is stale: run go test ./doc -run TestReference -doc.reference (-is +should)\n%s", diff)
	}
	for _, installation := range installations() {
		manifest, err := install.ParseManifest(installation.Manifest)
		if err != nil {
			t.Fatal(err)
		}
		for key := range manifest.Config {
			if !strings.Contains(text, "| `"+key+"` |") {
				t.Errorf("the page has no key %s of %s", key, installation.Module)
			}
		}
	}
	if strings.Contains(text, os.TempDir()) {
		t.Error("the page has a path of this machine")
	}
}

const introduction = `# Reference

Every configuration key of the modules and every flag of the programs. This page is generated from the modules' manifests and from what the
programs read: change those, then run ` + "`go test ./doc -run TestReference -doc.reference`" + `.
`

const environment = `## Environment of the module binaries

Beside the variables that stand in for flags:

| variable | set by | meaning |
|---|---|---|
| ` + "`MQTT_SERVER_ADDRESS`, `MQTT_SERVER_PORT`" + ` | the user | override the broker's host and port, as for EVerest's own modules; not together with a socket |
| ` + "`RUNTIME_DIRECTORY`" + ` | systemd, ` + "`RuntimeDirectory=`" + ` | where a module puts its status socket by default |
| ` + "`STATE_DIRECTORY`" + ` | systemd, ` + "`StateDirectory=`" + ` | where SatelliteController remembers which dialect its satellite speaks, for ` + "`on_loss: auto`" + `, and keeps an open transaction; where SatelliteAgent remembers its controller's dialect and address, for which it [keeps places](security.md#what-is-refused), and keeps [ends of transactions](lost-satellite.md#an-end-that-the-agents-process-does-not-outlive) that no controller has. A module that a manager starts inherits it from EVerest's unit |
| ` + "`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`" + ` | systemd, ` + "`Type=notify` and `WatchdogSec=`" + ` | a module that no manager has started tells systemd how it fares |
| ` + "`LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`" + ` | systemd, a socket unit | SatelliteAgent takes the passed socket instead of opening its port |

## Exit status of the module binaries

| status | meaning |
|---|---|
| 0 | told to end by SIGTERM or SIGINT, or by the manager; or done with ` + "`-install`, `-help` or `-version`" + ` |
| 1 | anything else, with a line on standard error that says why. The process has to be started again, and with the legacy dialect its board |
`

// installations returns the modules in the order of the page.
func installations() []install.Installation {
	return []install.Installation{satellite.AgentInstallation(), satellite.ControllerInstallation(), aggregator.Installation()}
}

// reference returns the whole page.
func reference(ctx context.Context) (string, error) {
	var text strings.Builder
	text.WriteString(introduction)
	for _, installation := range installations() {
		if err := writeModule(&text, installation); err != nil {
			return "", err
		}
	}
	writeFlags(&text)
	text.WriteString("\n" + environment)
	if err := writeTools(ctx, &text); err != nil {
		return "", err
	}
	return text.String(), nil
}

func writeModule(text *strings.Builder, installation install.Installation) error {
	manifest, err := install.ParseManifest(installation.Manifest)
	if err != nil {
		return fmt.Errorf("%s: %w", installation.Module, err)
	}
	fmt.Fprintf(text, "\n## %s\n\n%s\n\n### Configuration of %[1]s\n\n", installation.Module, cell(manifest.Description))
	text.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
	for _, key := range slices.Sorted(maps.Keys(manifest.Config)) {
		parameter := manifest.Config[key]
		fmt.Fprintf(text, "| `%s` | %s | %s | %s |\n", key, values(parameter), defaultOf(parameter), cell(parameter.Description))
	}
	fmt.Fprintf(text, "\n### Connections of %s\n\n| requirement | interface | connections |\n|---|---|---|\n", installation.Module)
	for _, id := range manifest.RequirementIDs() {
		required := manifest.Requires[id]
		fmt.Fprintf(text, "| `%s` | `%s` | %s |\n", id, required.Interface, count(required.MinConnections, required.MaxConnections))
	}
	text.WriteString("\n| implementation | interface | meaning |\n|---|---|---|\n")
	for _, id := range manifest.ImplementationIDs() {
		provided := manifest.Provides[id]
		fmt.Fprintf(text, "| `%s` | `%s` | %s |\n", id, provided.Interface, cell(provided.Description))
	}
	return nil
}

// values returns which values a parameter accepts.
func values(parameter install.Parameter) string {
	if len(parameter.Enum) > 0 {
		var names []string
		for _, value := range parameter.Enum {
			names = append(names, "`"+strings.Trim(string(value), `"`)+"`")
		}
		return strings.Join(names, ", ")
	}
	text := parameter.Type
	if parameter.Minimum != nil && parameter.Maximum != nil {
		text += ", " + number(*parameter.Minimum) + " to " + number(*parameter.Maximum)
	}
	if parameter.Unit != "" {
		text += ", in " + parameter.Unit
	}
	return text
}

func number(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

func defaultOf(parameter install.Parameter) string {
	switch text := strings.Trim(string(parameter.Default), `"`); {
	case parameter.Default == nil:
		return "none: must be given"
	case text == "":
		return "empty"
	default:
		return "`" + text + "`"
	}
}

func count(least, most int) string {
	switch {
	case least == most:
		return strconv.Itoa(least)
	case least == 0 && most == 1:
		return "0 or 1"
	}
	return fmt.Sprintf("%d to %d", least, most)
}

func writeFlags(text *strings.Builder) {
	text.WriteString("\n## Command line of the module binaries\n\nEVerest's manager gives the flags down to the broker's. A flag may stand with one dash or two, its value behind a blank or an equals sign;\n" +
		"unknown flags are ignored with a warning.\n\n| flag | or in the environment | meaning |\n|---|---|---|\n")
	for _, flag := range program.Flags() {
		variable := ""
		if flag.Variable != "" {
			variable = "`" + flag.Variable + "`"
		}
		fmt.Fprintf(text, "| `%s` | %s | %s |\n", strings.TrimSpace("--"+flag.Name+" "+flag.Value), variable, cell(flag.Usage))
	}
	for _, installation := range installations() {
		for _, option := range installation.Options {
			fmt.Fprintf(text, "| `--install DIR -%s TEXT` of %s | | %s |\n", option.Name, installation.Module, cell(option.Usage))
		}
	}
}

// cell returns a text for one cell of a table.
func cell(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, replace := range [][2]string{{"|", `\|`}, {"<", "&lt;"}} {
		text = strings.ReplaceAll(text, replace[0], replace[1])
	}
	return text
}
