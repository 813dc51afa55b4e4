package identity

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
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
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return fmt.Errorf("identity: cannot create the directory: %w", err)
	}
	return checkDirectory(directory)
}

func checkDirectory(directory string) error {
	info, err := os.Stat(directory)
	if err != nil {
		return fmt.Errorf("identity: cannot use the directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("identity: %s is not a directory", directory)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: %s has mode %04o: chmod 0700 %s", errPermissions, directory, info.Mode().Perm(), directory)
	}
	return nil
}

// readPrivate reads a file that only its owner can access.
func readPrivate(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("identity: %s is not a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o: chmod 0600 %s", errPermissions, path, info.Mode().Perm(), path)
	}
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
	directory := filepath.Dir(path)
	// The temporary file stays beside the key: another directory may be readable to others.
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(directory), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer file.Cleanup()
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return syncDirectory(directory)
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
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
