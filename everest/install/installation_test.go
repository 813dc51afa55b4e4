package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/durable/durabletest"
)

func TestInstallPutsFilesWhereAManagerLooks(t *testing.T) {
	prefix := t.TempDir()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!program"), 0o600); err != nil {
		t.Fatal(err)
	}
	installation := Installation{
		Module:     "ExampleModule",
		Manifest:   []byte("description: example\n"),
		Interfaces: map[string][]byte{"example": []byte("description: example\n")},
	}
	// The second time every file is there already.
	for range 2 {
		if _, err := installation.Install(prefix, program, nil); err != nil {
			t.Fatal(err)
		}
	}

	got := map[string]string{}
	err := filepath.WalkDir(prefix, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		name, _ := filepath.Rel(prefix, path)
		got[filepath.ToSlash(name)] = info.Mode().String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"libexec/everest/modules/ExampleModule/ExampleModule": "-rwxr-xr-x",
		"libexec/everest/modules/ExampleModule/manifest.yaml": "-rw-r--r--",
		"share/everest/interfaces/example.yaml":               "-rw-r--r--",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("installed files (-want +got):\n%s", diff)
	}
}

// TestAnUpgradeSurvivesCuts: the manager takes a module with a manifest for installed, so the program is never older.
func TestAnUpgradeSurvivesCuts(t *testing.T) {
	programs := t.TempDir()
	install := func(version string) func(string) error {
		return func(directory string) error {
			program := filepath.Join(programs, version)
			if err := os.WriteFile(program, []byte(version), 0o600); err != nil {
				return err
			}
			installation := Installation{
				Module: "ExampleModule", Manifest: []byte("description: " + version + "\n"),
				Interfaces: map[string][]byte{"example": []byte("description: " + version + "\n")},
			}
			_, err := installation.Install(filepath.Join(directory, "usr"), program, nil)
			return err
		}
	}
	durabletest.Cut(t, durabletest.Program{
		Steps: []func(string) error{install("v1"), install("v2")},
		Read: func(directory string) (string, error) {
			prefix := filepath.Join(directory, "usr")
			manifest, err := InstalledManifest(prefix, "ExampleModule")
			if errors.Is(err, fs.ErrNotExist) {
				return "none", nil
			}
			if err != nil {
				return "", err
			}
			version := strings.TrimSpace(strings.TrimPrefix(string(manifest), "description: "))
			for _, path := range []string{"libexec/everest/modules/ExampleModule/ExampleModule", "share/everest/interfaces/example.yaml"} {
				content, err := os.ReadFile(filepath.Join(prefix, path))
				if err != nil {
					return "", err
				}
				of := strings.TrimSpace(strings.TrimPrefix(string(content), "description: "))
				if of != "v1" && of != "v2" || of < version {
					return "", fmt.Errorf("%s is of %q, the manifest of %q", path, of, version)
				}
			}
			return version, nil
		},
		Repeats: true,
	})
}

func TestInstallNamesWhatIsWrong(t *testing.T) {
	installation := Installation{Module: "ExampleModule"}
	if _, err := installation.Install(t.TempDir(), "no-such-program", nil); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("error %v does not name the program", err)
	}
	notADirectory := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notADirectory, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := installation.Install(notADirectory, notADirectory, nil); err == nil || !strings.Contains(err.Error(), "manifest.yaml") && !strings.Contains(err.Error(), "ExampleModule") {
		t.Errorf("error %v does not name the file", err)
	}
}
