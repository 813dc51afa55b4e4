package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
