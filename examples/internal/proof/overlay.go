package proof

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The folders of an installed EVerest, below its prefix.
const (
	modulesFolder    = "libexec/everest/modules"
	interfacesFolder = "share/everest/interfaces"
	etcFolder        = "etc/everest"
	certsFolder      = "etc/everest/certs"
	ocppSample       = "share/everest/modules/OCPP/config-docker.json"
)

// overlay makes an installation at target that is prefix with the proof's modules added. Nothing is written below prefix:
// folders that get further files are made anew with links to the files of prefix.
func overlay(prefix, target string, debug bool) error {
	for _, folder := range []string{"", "libexec", "libexec/everest", modulesFolder, "share", "share/everest", interfacesFolder, "etc", etcFolder} {
		if err := linkAll(filepath.Join(prefix, folder), filepath.Join(target, folder)); err != nil {
			return err
		}
	}
	if err := copyCertificates(filepath.Join(prefix, certsFolder), filepath.Join(target, certsFolder)); err != nil {
		return err
	}
	return errors.Join(
		writeProbes(target),
		writeLogConfig(filepath.Join(target, etcFolder, "default_logging.cfg"), debug),
	)
}

// linkAll makes a folder with a link to each entry of from. It removes a link at to itself, which the folder above got.
func linkAll(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("not an installed EVerest: %w", err)
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	absolute, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.Symlink(filepath.Join(absolute, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// copyCertificates copies a folder, because EvseSecurity writes into it.
func copyCertificates(from, to string) error {
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.Remove(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}

// writeProbes installs the manifests of the probes, which the managers do not start.
func writeProbes(target string) error {
	for _, name := range []string{"MainProbe", "SatelliteProbe"} {
		folder := filepath.Join(target, modulesFolder, name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, "manifest.yaml"), manifestOf(name), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func writeLogConfig(path string, debug bool) error {
	level := "INFO"
	if debug {
		level = "DEBG"
	}
	lines := []string{
		"[Core]", "DisableLogging=false", `Filter="%Severity% >= ` + level + `"`,
		"[Sinks.Console]", "Destination=Console", `Format="%TimeStamp% [%Severity%] %Process% %function%: %Message%"`,
		"Asynchronous=false", "AutoFlush=true",
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// writeOCPPConfig writes OCPP's configuration: the sample of the installation with the address of the backend.
func writeOCPPConfig(prefix, path, backend string) error {
	sample, err := os.ReadFile(filepath.Join(prefix, ocppSample))
	if err != nil {
		return err
	}
	var config map[string]map[string]any
	if err := json.Unmarshal(sample, &config); err != nil {
		return fmt.Errorf("%s: %w", ocppSample, err)
	}
	config["Internal"]["CentralSystemURI"] = backend
	config["Security"]["SecurityProfile"] = 0
	config["PnC"]["CentralContractValidationAllowed"] = true
	delete(config, "Custom") // needs a schema of its own, which is not installed
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
