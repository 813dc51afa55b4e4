package durabletest

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// moment is a moment at which the power may go: after a call, and so many steps that have returned.
type moment struct {
	call  string
	steps int
	disk  *disk
}

// momentsOf returns the moments of a recording.
func momentsOf(t testing.TB, recorded recording) []moment {
	t.Helper()
	calls, err := recorded.parse()
	if err != nil {
		t.Fatal(err)
	}
	d := &disk{}
	d.root = d.create(true, 0o700)
	p := &replay{root: recorded.directory, disk: d, open: map[int]*handle{}, names: map[string]*file{recorded.directory: d.root}}
	moments := []moment{{disk: d.clone()}}
	for _, c := range calls {
		changed, err := p.perform(c)
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if changed {
			moments = append(moments, moment{c.String(), p.steps, d.clone()})
		}
	}
	if len(moments) == 1 {
		t.Fatal("strace has recorded no change of the directory")
	}
	return moments
}

// replay carries out recorded calls on a disk in memory.
type replay struct {
	root string
	disk *disk
	// open are the open files and directories by their numbers. Those outside of the root have a handle without a file.
	open map[int]*handle
	// names are the files that there are now, by path.
	names map[string]*file
	steps int
}

type handle struct {
	file   *file
	path   string
	offset int
	append bool
}

// perform carries out a call, and reports whether it may have changed what is on disk.
func (p *replay) perform(c call) (changed bool, err error) {
	switch c.name {
	case "open", "creat":
		return p.openAt(c, p.path("", c.argument(0)), c.argument(1), c.number(2))
	case "openat":
		return p.openAt(c, p.path(c.argument(0), c.argument(1)), c.argument(2), c.number(3))
	case "close":
		delete(p.open, c.number(0))
	case "dup", "dup2", "dup3":
		p.open[c.result] = p.open[c.number(0)]
	case "read":
		if h := p.handle(c.number(0)); h != nil {
			h.offset += c.result
		}
	case "lseek":
		if h := p.handle(c.number(0)); h != nil {
			h.offset = c.result
		}
	case "write", "pwrite64":
		return p.write(c), nil
	case "ftruncate":
		if h := p.handle(c.number(0)); h != nil {
			h.file.writes = append(h.file.writes, write{offset: c.number(1)})
			return true, nil
		}
	case "fsync", "fdatasync":
		if h := p.handle(c.number(0)); h != nil {
			p.disk.sync(h.file)
			return true, nil
		}
	case "rename":
		return p.rename(p.path("", c.argument(0)), p.path("", c.argument(1)))
	case "renameat", "renameat2":
		return p.rename(p.path(c.argument(0), c.argument(1)), p.path(c.argument(2), c.argument(3)))
	case "unlink", "rmdir":
		return p.remove(p.path("", c.argument(0)))
	case "unlinkat":
		return p.remove(p.path(c.argument(0), c.argument(1)))
	case "mkdir":
		return p.mkdir(p.path("", c.argument(0)), c.number(1))
	case "mkdirat":
		return p.mkdir(p.path(c.argument(0), c.argument(1)), c.number(2))
	case "fchmod":
		if h := p.handle(c.number(0)); h != nil {
			h.file.mode = fs.FileMode(c.number(1)) & fs.ModePerm
		}
	case "chmod", "fchmodat":
		offset := len(c.arguments) - 2
		if c.name == "fchmodat" {
			offset = 1
		}
		if f := p.names[p.path("", c.argument(offset))]; f != nil {
			f.mode = fs.FileMode(c.number(offset+1)) & fs.ModePerm
		}
	case "newfstatat", "lstat", "stat":
		return p.marked(c), nil
	case "sync", "syncfs", "sync_file_range", "fallocate", "copy_file_range", "sendfile", "writev", "pwritev", "pwritev2":
		return false, p.unknown(c, p.handle(c.number(0)) != nil || p.handle(c.number(2)) != nil)
	default: // link, symlink and the like
		inside := false
		for _, argument := range c.arguments {
			inside = inside || p.inside(p.path("", argument))
		}
		return false, p.unknown(c, inside)
	}
	return false, nil
}

func (p *replay) unknown(c call, ours bool) error {
	if ours {
		return fmt.Errorf("durabletest does not know what %s leaves on disk", c.name)
	}
	return nil
}

// marked counts the steps that have returned.
func (p *replay) marked(c call) bool {
	for _, argument := range c.arguments {
		if number, ours := strings.CutPrefix(argument, filepath.Join(p.root, marker)); ours {
			p.steps, _ = strconv.Atoi(number)
			return true
		}
	}
	return false
}

// path returns a path as it is seen from an open directory.
func (p *replay) path(directory, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	if number, err := strconv.Atoi(directory); err == nil && p.open[number] != nil {
		return filepath.Join(p.open[number].path, path)
	}
	return path
}

func (p *replay) inside(path string) bool {
	return strings.HasPrefix(path, p.root+"/") && !strings.HasPrefix(path, filepath.Join(p.root, marker))
}

// handle returns an open file of the program's directory, nil for any other.
func (p *replay) handle(number int) *handle {
	if h := p.open[number]; h != nil && h.file != nil {
		return h
	}
	return nil
}

func (p *replay) nameOf(path string) name {
	return name{p.names[filepath.Dir(path)], filepath.Base(path)}
}

func (p *replay) openAt(c call, path, flags string, mode int) (changed bool, err error) {
	opened := &handle{path: path, append: strings.Contains(flags, "O_APPEND")}
	p.open[c.result] = opened
	if path == p.root {
		opened.file = p.disk.root
	}
	if !p.inside(path) {
		return false, nil
	}
	f := p.names[path]
	switch {
	case f == nil && strings.Contains(flags, "O_CREAT"):
		f = p.disk.create(false, fs.FileMode(mode)&fs.ModePerm)
		p.names[path] = f
		p.disk.change(name{}, p.nameOf(path), f)
		changed = true
	case f == nil:
		return false, fmt.Errorf("%s is not known", path)
	case strings.Contains(flags, "O_TRUNC"):
		f.writes = append(f.writes, write{})
		changed = true
	}
	opened.file = f
	return changed, nil
}

func (p *replay) write(c call) bool {
	h := p.handle(c.number(0))
	if h == nil {
		return false
	}
	data := []byte(c.argument(1))[:c.result]
	offset := h.offset
	switch {
	case c.name == "pwrite64":
		offset = c.number(3)
	case h.append:
		offset = h.file.size()
	}
	if c.name != "pwrite64" {
		h.offset = offset + len(data)
	}
	h.file.writes = append(h.file.writes, write{offset, data})
	return true
}

func (f *file) size() int {
	var content []byte
	for _, w := range f.writes {
		content = w.apply(content)
	}
	return len(content)
}

func (p *replay) rename(from, to string) (bool, error) {
	if !p.inside(from) && !p.inside(to) {
		return false, nil
	}
	f := p.names[from]
	if f == nil || !p.inside(to) || f.directory {
		return false, fmt.Errorf("a rename of a directory, or into or out of the program's directory: %s to %s", from, to)
	}
	p.disk.change(p.nameOf(from), p.nameOf(to), f)
	delete(p.names, from)
	p.names[to] = f
	return true, nil
}

func (p *replay) remove(path string) (bool, error) {
	if !p.inside(path) {
		return false, nil
	}
	p.disk.change(p.nameOf(path), name{}, p.names[path])
	delete(p.names, path)
	return true, nil
}

func (p *replay) mkdir(path string, mode int) (bool, error) {
	if !p.inside(path) {
		return false, nil
	}
	made := p.disk.create(true, fs.FileMode(mode)&fs.ModePerm)
	p.names[path] = made
	p.disk.change(name{}, p.nameOf(path), made)
	return true, nil
}
