package identity

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links the path of a file may have, as in the kernel.
const maxLinks = 40

// owners are the users whose files a process uses: itself and root. A process of root also uses those of the user to whom
// the identity's directory belongs.
type owners []uint32

// ownersOf returns the owners for the files in a directory.
func ownersOf(directory string) owners {
	own := owners{0, uint32(os.Geteuid())}
	if info, err := os.Stat(directory); err == nil && os.Geteuid() == 0 {
		own = append(own, ownerOf(info))
	}
	return own
}

func ownerOf(info fs.FileInfo) uint32 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid
	}
	return uint32(os.Geteuid())
}

// check fails where another user owns a file.
func (o owners) check(path string, info fs.FileInfo) error {
	if owner := ownerOf(info); !slices.Contains(o, owner) {
		return fmt.Errorf("%w: %s belongs to user %d, and this process runs as user %d: chown %[4]d %[2]s", errOwner, path, owner, os.Geteuid())
	}
	return nil
}

// walk follows a path, and returns what is there. It fails where another user could put something else there, as sshd's
// StrictModes does: each directory on the way, also on that of a symbolic link, must belong to one of the owners, and
// others must not be able to write to it. In a directory with the sticky bit, such as /tmp, others may write beside an
// entry of an owner, because they can neither remove nor rename that. The group may write where it is the owner's private
// one, which has the owner's number: so are the directories of users with the umask 0002.
func (o owners) walk(path string) (fs.FileInfo, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	at, rest, links := "/", elements(absolute), 0
	info, err := os.Lstat(at)
	for err == nil && len(rest) > 0 {
		directory := info
		entry := filepath.Join(at, rest[0])
		rest = rest[1:]
		if info, err = os.Lstat(entry); err != nil {
			break
		}
		if err := o.checkEntry(at, directory, entry, info); err != nil {
			return nil, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = entry
			continue
		}
		if links++; links > maxLinks {
			return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
		}
		target, err := os.Readlink(entry)
		if err != nil {
			return nil, err
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(elements(target), rest...)
		if info, err = os.Lstat(at); err != nil {
			return nil, err
		}
	}
	return info, err
}

func elements(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(element string) bool { return element == "" || element == "." })
}

// checkEntry fails where others can replace an entry of a directory.
func (o owners) checkEntry(path string, directory fs.FileInfo, entry string, info fs.FileInfo) error {
	if err := o.check(path, directory); err != nil {
		return err
	}
	if isShared(directory) && (directory.Mode()&fs.ModeSticky == 0 || o.check(entry, info) != nil) {
		return fmt.Errorf("%w: %s has mode %04o, so others can replace %s: chmod go-w %[2]s", errPermissions, path, directory.Mode().Perm(), entry)
	}
	return nil
}

func isShared(directory fs.FileInfo) bool {
	stat, ok := directory.Sys().(*syscall.Stat_t)
	isPrivateGroup := ok && stat.Uid != 0 && stat.Gid == stat.Uid
	return directory.Mode().Perm()&0o002 != 0 || directory.Mode().Perm()&0o020 != 0 && !isPrivateGroup
}

// private follows a path as walk does, and fails where the file or directory there can be read or changed by others than
// its owner. mode is what the remedy sets.
func (o owners) private(path string, mode fs.FileMode) (fs.FileInfo, error) {
	info, err := o.walk(path)
	if err != nil {
		return nil, err
	}
	if err := o.check(path, info); err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o: chmod %04o %[2]s", errPermissions, path, info.Mode().Perm(), mode)
	}
	return info, nil
}
