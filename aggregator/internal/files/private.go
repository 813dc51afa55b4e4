package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// maxKey is the size of a private key in bytes. A larger file is rejected.
const maxKey = 64 << 10

// errOpen: others than its owner can use a file or directory that must be private.
var errOpen = fmt.Errorf("open to others than its owner: %w", fs.ErrPermission)

// ReadKey reads a private key. It rejects one that others could read or have made, as ssh does: the file belongs to this
// process's user or to root, others have no permission, and the group has none where the file is the user's own.
func ReadKey(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	owner, forbidden := ownerOf(info), fs.FileMode(0o007)
	if owner == uint32(os.Geteuid()) {
		forbidden = 0o077
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case !isOwn(info):
		return nil, fmt.Errorf("%w: %s belongs to user %d: chown %d %[2]s", errOpen, path, owner, os.Geteuid())
	case info.Mode().Perm()&forbidden != 0:
		return nil, fmt.Errorf("%w: %s has mode %04o: chmod 0600 %[2]s", errOpen, path, info.Mode().Perm())
	}
	key, err := io.ReadAll(io.LimitReader(file, maxKey+1))
	if len(key) > maxKey {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, maxKey)
	}
	return key, err
}

func ownerOf(info fs.FileInfo) uint32 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid
	}
	return uint32(os.Geteuid())
}

// isOwn reports whether a file belongs to this process's user or to root.
func isOwn(info fs.FileInfo) bool {
	return slices.Contains([]uint32{0, uint32(os.Geteuid())}, ownerOf(info))
}

// EmptyDirectory makes a directory that only this user may use, and removes what an earlier process left in it. The
// directory above it is made for this user too. Where others put another one or a symbolic link there, it fails.
func EmptyDirectory(directory string) error {
	above := filepath.Dir(directory)
	if err := os.MkdirAll(filepath.Dir(above), 0o700); err != nil {
		return fmt.Errorf("files: cannot make the directory for log files: %w", err)
	}
	if err := os.Mkdir(above, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("files: cannot make the directory for log files: %w", err)
	}
	info, err := os.Lstat(above)
	switch {
	case err != nil:
		return fmt.Errorf("files: cannot use the directory for log files: %w", err)
	case !info.IsDir():
		return fmt.Errorf("files: %s is not a directory: remove it", above)
	case !isOwn(info):
		return fmt.Errorf("files: %w: %s belongs to user %d: remove it", errOpen, above, ownerOf(info))
	}
	root, err := os.OpenRoot(above)
	if err != nil {
		return fmt.Errorf("files: cannot use the directory for log files: %w", err)
	}
	defer root.Close()
	// What was checked and what was opened must be one: os.OpenRoot follows a link.
	if opened, err := root.Stat("."); err != nil || !os.SameFile(info, opened) {
		return fmt.Errorf("files: %w: %s was replaced", errOpen, above)
	}
	if err := root.RemoveAll(filepath.Base(directory)); err != nil {
		return fmt.Errorf("files: cannot remove leftovers: %w", err)
	}
	if err := root.Mkdir(filepath.Base(directory), 0o700); err != nil {
		return fmt.Errorf("files: cannot make the directory for log files: %w", err)
	}
	return nil
}

// Move moves a file out of a directory to which others may write, and returns what has moved. Others can exchange the
// file until then, so Move fails, and removes what has moved, where that is no regular file.
func Move(from, to string) (fs.FileInfo, error) {
	if err := os.Rename(from, to); err != nil {
		return nil, err
	}
	moved, err := os.Lstat(to)
	if err == nil && moved.Mode().IsRegular() {
		return moved, nil
	}
	return nil, errors.Join(fmt.Errorf("files: %s is not a regular file any more", from), err, os.RemoveAll(to))
}
