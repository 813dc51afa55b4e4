// Package durable replaces and removes files so that a loss of power leaves the old file or the new one, and so that
// what a function has returned from is on disk.
//
// A rename alone does not give that: without fsync of the file its content may be missing after the loss, and without
// fsync of the directory the file itself. Package durabletest shows for a program that its files survive each cut.
//
// All functions may be called from several goroutines. Of two that replace the same file at once, one wins.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
)

// Replace writes a file with the content and the mode, which the umask does not change. A file that is there is
// replaced as a whole: a reader never sees a part. After an error the old file is there, or the new one.
func Replace(path string, content []byte, mode fs.FileMode) error {
	return ReplaceWith(path, mode, func(file *os.File) error {
		_, err := file.Write(content)
		return err
	})
}

// ReplaceWith is [Replace] for a content that a function writes, which may also change the file's owner. An error of the
// function leaves the old file.
func ReplaceWith(path string, mode fs.FileMode, write func(*os.File) error) error {
	// The file that is written first stays in the directory: another one may be readable to others.
	directory := filepath.Dir(path)
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(directory), renameio.WithStaticPermissions(mode))
	if err != nil {
		return err
	}
	defer file.Cleanup()
	if err := write(file.File); err != nil {
		return err
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return syncDirectory(directory)
}

// Remove removes a file. It is no error where there is none.
func Remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// Rename gives a file another name in the same directory. It replaces a file of that name.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(to))
}

// syncDirectory waits until the names of a directory's files are on disk.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// MkdirAll creates a directory, and those above it that are not there.
func MkdirAll(path string, mode fs.FileMode) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	var missing []string
	for ; ; path = filepath.Dir(path) {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			break
		}
		missing = append(missing, path)
	}
	for _, directory := range slices.Backward(missing) {
		// Another process may have made it meanwhile.
		if err := os.Mkdir(directory, mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := syncDirectory(filepath.Dir(directory)); err != nil {
			return err
		}
	}
	return nil
}

// Sweep removes what losses of power in the midst of a [Replace] of the file have left. The caller must be the only one
// that replaces the file.
func Sweep(path string) error {
	directory, name := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(directory))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if number, ours := strings.CutPrefix(entry.Name(), "."+name); ours && number != "" && strings.Trim(number, "0123456789") == "" {
			err = errors.Join(err, os.Remove(filepath.Join(directory, entry.Name())))
		}
	}
	return err
}
