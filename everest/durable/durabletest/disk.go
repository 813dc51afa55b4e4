package durabletest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
)

// file is a file or a directory, whatever its names are.
type file struct {
	directory bool
	mode      fs.FileMode
	// writes are what the file got, in order. The first synced of them are on disk.
	writes []write
	synced int
}

// write is a write at an offset, or, where data is nil, a truncation to it.
type write struct {
	offset int
	data   []byte
}

func (w write) apply(content []byte) []byte {
	end := w.offset + len(w.data)
	if grow := end - len(content); grow > 0 {
		content = append(content, make([]byte, grow)...)
	}
	if w.data == nil {
		return content[:w.offset]
	}
	copy(content[w.offset:], w.data)
	return content
}

// name is a name in a directory.
type name struct {
	directory *file
	base      string
}

// change gives a file a name, takes one away, or both at once, which is a rename. A zero name is none.
type change struct {
	from, to name
	file     *file
	// pending are the directories that were not synced since.
	pending []*file
}

// disk is what the program has done to a directory.
type disk struct {
	root    *file
	files   []*file
	changes []change
}

func (d *disk) create(directory bool, mode fs.FileMode) *file {
	made := &file{directory: directory, mode: mode}
	d.files = append(d.files, made)
	return made
}

// change records a change of names.
func (d *disk) change(from, to name, f *file) {
	made := change{from: from, to: to, file: f}
	for _, directory := range []*file{from.directory, to.directory} {
		if directory != nil && !slices.Contains(made.pending, directory) {
			made.pending = append(made.pending, directory)
		}
	}
	d.changes = append(d.changes, made)
}

// sync puts on disk what a file got, or the names of a directory.
func (d *disk) sync(f *file) {
	f.synced = len(f.writes)
	if f.directory {
		for i := range d.changes {
			d.changes[i].pending = slices.DeleteFunc(slices.Clone(d.changes[i].pending), func(other *file) bool { return other == f })
		}
	}
}

// clone returns a disk that further changes leave as it is.
func (d *disk) clone() *disk {
	copied := &disk{}
	copies := map[*file]*file{}
	for _, f := range d.files {
		c := *f
		copies[f] = &c
		copied.files = append(copied.files, &c)
	}
	copied.root = copies[d.root]
	for _, c := range d.changes {
		moved := change{name{copies[c.from.directory], c.from.base}, name{copies[c.to.directory], c.to.base}, copies[c.file], nil}
		for _, pending := range c.pending {
			moved.pending = append(moved.pending, copies[pending])
		}
		copied.changes = append(copied.changes, moved)
	}
	return copied
}

// maxOpen bounds what may be open after a cut: each choice doubles what is to be checked.
const maxOpen = 1 << 14

// afterACut returns what the directory may hold after a cut, each once.
func (d *disk) afterACut(t testing.TB) []contents {
	t.Helper()
	all := []map[int]bool{{}}
	for i, c := range d.changes {
		all = branch(all, i, len(c.pending) == 0)
	}
	var disks []contents
	seen := map[string]bool{}
	for _, done := range all {
		names := d.names(done)
		reached := map[*file]bool{}
		for _, f := range names {
			reached[f] = true
		}
		choices := []map[*file][]byte{{}}
		for _, f := range d.files {
			if !reached[f] || f.directory {
				continue
			}
			var grown []map[*file][]byte
			for _, chosen := range choices {
				for _, content := range f.afterACut() {
					with := map[*file][]byte{f: content}
					for other, its := range chosen {
						with[other] = its
					}
					grown = append(grown, with)
				}
			}
			if choices = grown; len(choices) > maxOpen {
				t.Fatalf("more than %d different disks after one cut: sync more often, or write less in a step", maxOpen)
			}
		}
		for _, chosen := range choices {
			var files contents
			for path, f := range names {
				files = append(files, entry{path, f.directory, f.mode, chosen[f]})
			}
			sort.Slice(files, func(i, j int) bool { return files[i].path < files[j].path })
			if text := files.String(); !seen[text] {
				seen[text] = true
				disks = append(disks, files)
			}
		}
	}
	return disks
}

// branch adds the choices of one change: done, and not done where it is not certain.
func branch(all []map[int]bool, i int, certain bool) []map[int]bool {
	var grown []map[int]bool
	for _, done := range all {
		with := map[int]bool{i: true}
		for j := range done {
			with[j] = true
		}
		grown = append(grown, with)
		if !certain {
			grown = append(grown, done)
		}
	}
	return grown
}

// names returns the files by their paths after some changes.
func (d *disk) names(done map[int]bool) map[string]*file {
	directories := map[*file]map[string]*file{}
	of := func(directory *file) map[string]*file {
		if directories[directory] == nil {
			directories[directory] = map[string]*file{}
		}
		return directories[directory]
	}
	for i, c := range d.changes {
		if !done[i] {
			continue
		}
		if c.from.directory != nil {
			delete(of(c.from.directory), c.from.base)
		}
		if c.to.directory != nil {
			of(c.to.directory)[c.to.base] = c.file
		}
	}
	found := map[string]*file{}
	var walk func(prefix string, directory *file)
	walk = func(prefix string, directory *file) {
		for base, f := range directories[directory] {
			path := filepath.Join(prefix, base)
			found[path] = f
			if f.directory {
				walk(path, f)
			}
		}
	}
	walk("", d.root)
	return found
}

// afterACut returns what the file may hold: what was synced, and then each prefix of the writes, the last one whole or
// half.
func (f *file) afterACut() [][]byte {
	var content []byte
	for _, w := range f.writes[:f.synced] {
		content = w.apply(slices.Clone(content))
	}
	possible := [][]byte{content}
	for _, w := range f.writes[f.synced:] {
		if half := len(w.data) / 2; half > 0 {
			possible = append(possible, write{w.offset, w.data[:half]}.apply(slices.Clone(content)))
		}
		content = w.apply(slices.Clone(content))
		possible = append(possible, content)
	}
	return possible
}

// contents are the files of a directory, sorted by path.
type contents []entry

type entry struct {
	path      string
	directory bool
	mode      fs.FileMode
	content   []byte
}

func (c contents) write(directory string) error {
	for _, e := range c {
		path := filepath.Join(directory, e.path)
		if e.directory {
			if err := os.Mkdir(path, e.mode); err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(path, e.content, e.mode); err != nil {
			return err
		}
		if err := os.Chmod(path, e.mode); err != nil {
			return err
		}
	}
	return nil
}

// String lists the files with their contents.
func (c contents) String() string {
	var text strings.Builder
	for _, e := range c {
		if e.directory {
			fmt.Fprintf(&text, "%s/ %v\n", e.path, e.mode)
			continue
		}
		fmt.Fprintf(&text, "%s %v %d bytes %q\n", e.path, e.mode, len(e.content), e.content)
	}
	return text.String()
}
