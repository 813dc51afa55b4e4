// Package buildroot holds nothing but the test of the Buildroot package.
package buildroot

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/satellite"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLicenceFile(t *testing.T) {
	line := fmt.Sprintf("sha256  %x  LICENSE\n", sha256.Sum256([]byte(read(t, root+"/LICENSE"))))
	if !strings.Contains(read(t, "remotechargeport.hash"), line) {
		t.Errorf("the hash file has not the line %s", line)
	}
}

func TestOptionsOfTheMenu(t *testing.T) {
	used := regexp.MustCompile(`BR2_PACKAGE_REMOTECHARGEPORT\w*`).FindAllString(read(t, "remotechargeport.mk"), -1)
	if len(used) == 0 {
		t.Error("the package uses no option")
	}
	for _, option := range used {
		if !strings.Contains(read(t, "Config.in"), "config "+option+"\n") {
			t.Errorf("the menu has no option %s", option)
		}
	}
}

// infrastructure stands in for what Buildroot itself defines, as far as the package uses it.
const infrastructure = `
define sep


endef
github = https://github.com/$(1)/$(2)/archive/$(3)
define golang-package
endef
include remotechargeport.mk
# Buildroot's stamp lies beside the sources, which so are $(@D).
$(SOURCE)/.stamp_installed:
	$(REMOTECHARGEPORT_INSTALL_TARGET_CMDS)
	$(REMOTECHARGEPORT_INSTALL_INIT_SYSTEMD)
.PHONY: told
told:
	@echo '$(REMOTECHARGEPORT_TAGS)|$(REMOTECHARGEPORT_LDFLAGS)|$(REMOTECHARGEPORT_GO_ENV)|$(REMOTECHARGEPORT_BUILD_TARGETS)|$(REMOTECHARGEPORT_GOMOD)'
`

func runMake(t *testing.T, arguments ...string) string {
	t.Helper()
	path, err := exec.LookPath("make")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("make is missing: install make")
		}
		t.Skip("make is not installed")
	}
	command := exec.CommandContext(t.Context(), path, append([]string{"-s", "-f", "-", "BR2_PACKAGE_REMOTECHARGEPORT_AGENT=y",
		"BR2_PACKAGE_REMOTECHARGEPORT_CONTROLLER=y", "BR2_PACKAGE_REMOTECHARGEPORT_AGGREGATOR=y"}, arguments...)...)
	command.Stdin = strings.NewReader(infrastructure)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("make %v: %v\n%s", arguments, err, output)
	}
	return strings.TrimSpace(string(output))
}

func TestBuildsAsDist(t *testing.T) {
	dist := read(t, root+"/examples/dist/build.go")
	tags := regexp.MustCompile(`const tags = "(.*)"`).FindStringSubmatch(dist)[1]
	linker := regexp.MustCompile(`const linkerFlags = "(.*)"`).FindStringSubmatch(dist)[1]
	want := tags + "|" + linker + "|CGO_ENABLED=0|examples/agent examples/controller examples/aggregator|github.com/remotechargeport/remotechargeport"
	if got := runMake(t, "told"); got != want {
		t.Errorf("tags, flags and targets are\n%s, want\n%s", got, want)
	}
}

func TestInstalls(t *testing.T) {
	source, image := t.TempDir(), t.TempDir()
	for _, folder := range []string{"satellite", "aggregator", "doc"} {
		path, err := filepath.Abs(filepath.Join(root, folder))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(source, folder)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(source, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	programs := map[string]install.Installation{
		"agent": satellite.AgentInstallation(), "controller": satellite.ControllerInstallation(), "aggregator": aggregator.Installation(),
	}
	for name := range programs {
		if err := os.WriteFile(filepath.Join(source, "bin", name), []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	runMake(t, filepath.Join(source, ".stamp_installed"), "SOURCE="+source, "TARGET_DIR="+image, "INSTALL=install")
	for name, installation := range programs {
		modules := filepath.Join(image, "usr/libexec/everest/modules", installation.Module)
		same(t, filepath.Join(modules, "manifest.yaml"), installation.Manifest)
		same(t, filepath.Join(modules, installation.Module), []byte(name))
		for name, definition := range installation.Interfaces {
			same(t, filepath.Join(image, "usr/share/everest/interfaces", name+".yaml"), definition)
		}
	}
	units, err := filepath.Glob(root + "/doc/systemd/evsatellite-*")
	if err != nil || len(units) == 0 {
		t.Fatalf("unit files %v, %v", units, err)
	}
	for _, unit := range units {
		same(t, filepath.Join(image, "usr/lib/systemd/system", filepath.Base(unit)), []byte(read(t, unit)))
	}
}

func same(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what -install makes: %v", path, err)
	}
}
