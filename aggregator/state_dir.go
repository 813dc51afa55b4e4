package aggregator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// stateFile keeps one JSON value over a restart: a reader sees the old one or the new one, never a part.
type stateFile struct{ path string }

// save replaces the value, and returns when it is on the disk.
func (f stateFile) save(value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("aggregator: cannot save state: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return fmt.Errorf("aggregator: cannot save state: %w", err)
	}
	file, err := renameio.NewPendingFile(f.path, renameio.WithTempDir(filepath.Dir(f.path)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return fmt.Errorf("aggregator: cannot save state: %w", err)
	}
	defer file.Cleanup()
	if _, err := file.Write(content); err != nil {
		return fmt.Errorf("aggregator: cannot save state: %w", err)
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("aggregator: cannot save state: %w", err)
	}
	return syncDirectory(filepath.Dir(f.path))
}

// load reads the value; false when there is none. One that cannot be read is moved aside and an error.
func (f stateFile) load(value any) (bool, error) {
	content, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("aggregator: cannot read state: %w", err)
	}
	if err := json.Unmarshal(content, value); err != nil {
		return false, errors.Join(fmt.Errorf("aggregator: state in %s is damaged and not used: %w", f.path, err),
			os.Rename(f.path, f.path+".damaged"))
	}
	return true, nil
}

// remove forgets the value.
func (f stateFile) remove() error {
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("aggregator: cannot remove state: %w", err)
	}
	return nil
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("aggregator: cannot save state: %w", err)
	}
	defer directory.Close()
	if err := directory.Sync(); err != nil {
		return fmt.Errorf("aggregator: cannot save state: %w", err)
	}
	return nil
}
