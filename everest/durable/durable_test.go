package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/durable"
	"github.com/remotechargeport/remotechargeport/everest/durable/durabletest"
)

// TestFilesSurviveCuts writes, replaces, renames and removes files, in a directory that is made first.
func TestFilesSurviveCuts(t *testing.T) {
	path := func(directory, base string) string { return filepath.Join(directory, "state", "deep", base) }
	replace := func(base, content string) func(string) error {
		return func(directory string) error {
			if err := durable.MkdirAll(path(directory, ""), 0o700); err != nil {
				return err
			}
			return durable.Replace(path(directory, base), []byte(content), 0o600)
		}
	}
	durabletest.Cut(t, durabletest.Program{
		Steps: []func(string) error{
			replace("a", "first"), replace("a", "second, which is longer"), replace("b", "other"),
			func(directory string) error { return durable.Rename(path(directory, "a"), path(directory, "c")) },
			func(directory string) error { return durable.Remove(path(directory, "b")) },
			func(directory string) error { return durable.Remove(path(directory, "b")) },
			replace("c", ""),
		},
		Read: func(directory string) (string, error) {
			var found []string
			for _, base := range []string{"a", "b", "c"} {
				content, err := os.ReadFile(path(directory, base))
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if err != nil {
					return "", err
				}
				if err := durable.Sweep(path(directory, base)); err != nil {
					return "", err
				}
				found = append(found, base+"="+string(content))
			}
			return strings.Join(found, " "), nil
		},
	})
}

func TestReplaceWithKeepsTheOldFileAfterAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := durable.Replace(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if err := durable.ReplaceWith(path, 0o640, func(*os.File) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("the error is %v", err)
	}
	content, err := os.ReadFile(path)
	if err != nil || string(content) != "old" {
		t.Errorf("%q, %v", content, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left over: %v", entries)
	}
}

func TestSweep(t *testing.T) {
	directory := t.TempDir()
	for _, base := range []string{".state.json123", ".state.json", ".state.jsonx1", ".other.json123", "state.json"} {
		if err := os.WriteFile(filepath.Join(directory, base), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.Sweep(filepath.Join(directory, "state.json")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	if got, want := strings.Join(left, " "), ".other.json123 .state.json .state.jsonx1 state.json"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
	if err := durable.Sweep(filepath.Join(directory, "absent", "state.json")); err != nil {
		t.Errorf("no directory: %v", err)
	}
}
