package identity

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Names of the files in an identity's directory.
const (
	identityFile  = "identity.pem"
	nextFile      = "next.pem"
	trustedFile   = "trusted.json"
	authorityFile = "authority.pem"
)

// longestFile is far above what any of the files needs.
const longestFile = 1 << 20

// makeDirectory makes the directory where there is none; one that is there must
// be its owner's alone to change.
func makeDirectory(directory string) error {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return fmt.Errorf("identity: cannot make the directory: %w", err)
	}
	return checkDirectory(directory)
}

func checkDirectory(directory string) error {
	info, err := os.Stat(directory)
	if err != nil {
		return fmt.Errorf("identity: cannot use the directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("identity: %s is no directory", directory)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: %s has mode %04o: chmod 0700 %s", ErrPermissions, directory, info.Mode().Perm(), directory)
	}
	return nil
}

// readPrivate reads a file that is its owner's alone.
func readPrivate(path string) ([]byte, fs.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, info, fmt.Errorf("identity: %s is no file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, info, fmt.Errorf("%w: %s has mode %04o: chmod 0600 %s", ErrPermissions, path, info.Mode().Perm(), path)
	}
	content, err := io.ReadAll(io.LimitReader(file, longestFile+1))
	if err != nil {
		return nil, info, err
	}
	if len(content) > longestFile {
		return nil, info, fmt.Errorf("identity: %s is longer than %d bytes", path, longestFile)
	}
	return content, info, nil
}

// replacePrivate puts a whole file in the place of the old one: whoever reads it
// gets the one or the other, also after power was lost.
func replacePrivate(path string, content []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("identity: cannot write %s: %w", path, err)
		}
	}()
	directory := filepath.Dir(path)
	// It is made with mode 0600.
	file, err := os.CreateTemp(directory, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	// After the rename there is nothing left to remove.
	defer os.Remove(file.Name())
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
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

// vacant fails with ErrExists where a key stands in the way.
func vacant(path string) error {
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return fmt.Errorf("%w: %s", ErrExists, path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}
