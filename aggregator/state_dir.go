package aggregator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/remotechargeport/remotechargeport/everest/durable"
)

// stateFile keeps one JSON value over a restart: a reader sees the old one or the new one, never a part.
type stateFile struct{ path string }

// save replaces the value, and returns when it is on the disk.
func (f stateFile) save(value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("aggregator: cannot save state: %w", err)
	}
	err = durable.MkdirAll(filepath.Dir(f.path), 0o700)
	if err == nil {
		err = durable.Replace(f.path, content, 0o600)
	}
	if err != nil {
		return fmt.Errorf("aggregator: cannot save state: %w", err)
	}
	return nil
}

// load reads the value; false when there is none. One that cannot be read is moved aside and an error.
func (f stateFile) load(value any) (bool, error) {
	content, err := os.ReadFile(f.path)
	if err == nil {
		err = durable.Sweep(f.path)
	}
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
	if err := durable.Remove(f.path); err != nil {
		return fmt.Errorf("aggregator: cannot remove state: %w", err)
	}
	return nil
}
