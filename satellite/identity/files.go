package identity

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/remotechargeport/remotechargeport/everest/durable"
)

// Names of the files in an identity's directory.
const (
	identityFile  = "identity.pem"
	nextFile      = "next.pem"
	trustedFile   = "trusted.json"
	authorityFile = "authority.pem"
)

// maxFile is the size of a file in bytes. A larger one is rejected.
const maxFile = 1 << 20

// makeDirectory creates the directory where it does not exist. Only its owner may have access to an existing one.
func makeDirectory(directory string) error {
	directory, err := filepath.Abs(directory)
	if err != nil {
		return fmt.Errorf("identity: cannot create the directory: %w", err)
	}
	present := directory
	for {
		_, err := os.Lstat(present)
		if !errors.Is(err, fs.ErrNotExist) || present == filepath.Dir(present) {
			break
		}
		present = filepath.Dir(present)
	}
	owners := ownersOf(present)
	info, err := owners.walk(present)
	if err == nil && present != directory {
		err = owners.checkEntry(present, info, directory, info)
	}
	if err != nil {
		return fmt.Errorf("identity: cannot create the directory: %w", err)
	}
	if err := durable.MkdirAll(directory, 0o700); err != nil {
		return fmt.Errorf("identity: cannot create the directory: %w", err)
	}
	return checkDirectory(directory)
}

func checkDirectory(directory string) error {
	info, err := ownersOf(directory).private(directory, 0o700)
	if err != nil {
		return fmt.Errorf("identity: cannot use the directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("identity: %s is not a directory", directory)
	}
	return nil
}

// readPrivate reads a file that only its owner can access.
func readPrivate(path string) ([]byte, error) {
	info, err := ownersOf(filepath.Dir(path)).private(path, 0o600)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("identity: %s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("identity: %s is longer than %d bytes", path, maxFile)
	}
	return content, nil
}

// replacePrivate replaces a file whole. A reader gets the old or the new content, also after a loss of power.
func replacePrivate(path string, content []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("identity: cannot write %s: %w", path, err)
		}
	}()
	return durable.ReplaceWith(path, 0o600, func(file *os.File) error {
		if err := giveTo(file, filepath.Dir(path)); err != nil {
			return err
		}
		_, err := file.Write(content)
		return err
	})
}

// giveTo gives a new file of root to the user to whom the directory belongs. A module that runs as that user has to read
// what satkeys wrote under sudo.
func giveTo(file *os.File, directory string) error {
	info, err := os.Stat(directory)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	return file.Chown(int(ownerOf(info)), -1)
}

// checkVacant fails with ErrExists where there is a file that may not be replaced.
func checkVacant(path string, replace bool) error {
	_, err := os.Lstat(path)
	switch {
	case err == nil && replace:
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s", ErrExists, path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}
