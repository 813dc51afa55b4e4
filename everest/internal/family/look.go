package family

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Looker looks for the framework that the manager uses. It remembers what it has read, so that looking again costs little
// while the files stay the same. It is not safe for concurrent use.
type Looker struct {
	// Prefix is the prefix of the installation. It may be empty.
	Prefix string
	// Parent is the process id of the manager, or 0 for a module that no manager has started.
	Parent int
	// Proc is the folder of processes. The default is /proc.
	Proc string

	read map[string]seen
}

type seen struct {
	identity
	family string
}

// Look returns what the files say, the strongest first, and in texts for people what it has looked at.
func (l *Looker) Look() (found []Found, lookedAt []string) {
	add := func(where, family string, err error) bool {
		switch {
		case err != nil:
			lookedAt = append(lookedAt, err.Error())
		case family == "":
			lookedAt = append(lookedAt, where+": not EVerest's framework, or one that is not known")
		default:
			found = append(found, Found{Where: where, Families: []string{family}})
			return true
		}
		return false
	}
	if (l.Parent == 0 || !l.lookAtParent(add)) && l.Prefix != "" {
		l.lookAtPrefix(add)
	}
	if l.Prefix == "" {
		return found, append(lookedAt, "the prefix of the installation is not known")
	}
	if version, err := l.version(); err == nil {
		found = append(found, version)
		lookedAt = append(lookedAt, version.Where)
	}
	return found, lookedAt
}

// lookAtParent looks at what the manager's process has loaded. It returns false when that says nothing.
func (l *Looker) lookAtParent(add func(where, family string, err error) bool) bool {
	process := filepath.Join(l.proc(), strconv.Itoa(l.Parent))
	libraries, err := mappedLibraries(filepath.Join(process, "maps"))
	if err != nil {
		return add("", "", err)
	}
	for _, library := range libraries {
		name := library.name
		if deleted, gone := strings.CutSuffix(name, " (deleted)"); gone {
			// The file was replaced under the running manager. The kernel still has the old one.
			family, err := familyOfFile(filepath.Join(process, "map_files", library.area))
			if err != nil {
				err = fmt.Errorf("%s was replaced under the running manager", deleted)
			}
			add("the manager's library "+deleted, family, err)
			return true // the file that replaced it is not the manager's
		}
		family, err := l.familyOf(name)
		if add("the manager's library "+name, family, err) {
			return true
		}
	}
	if len(libraries) > 0 {
		return true
	}
	family, err := l.familyOf(filepath.Join(process, "exe"))
	if err == nil && family == "" {
		return false // a shell, perhaps
	}
	return add("the manager's program", family, err)
}

type mappedLibrary struct{ area, name string }

// mappedLibraries reads a process's memory map.
func mappedLibraries(maps string) ([]mappedLibrary, error) {
	file, err := os.Open(maps)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var libraries []mappedLibrary
	lines := bufio.NewScanner(io.LimitReader(file, 16<<20))
	for lines.Scan() {
		line := lines.Text()
		at := strings.IndexByte(line, '/')
		if at < 0 || !strings.HasPrefix(filepath.Base(line[at:]), "libframework.so") {
			continue
		}
		name := line[at:]
		known := slices.ContainsFunc(libraries, func(other mappedLibrary) bool { return other.name == name })
		if !known {
			area, _, _ := strings.Cut(line, " ")
			libraries = append(libraries, mappedLibrary{area, name})
		}
	}
	return libraries, lines.Err()
}

// lookAtPrefix looks at the installed library, or else at the installed manager, which may contain it.
func (l *Looker) lookAtPrefix(add func(where, family string, err error) bool) {
	var libraries []string
	for _, pattern := range []string{"lib*/libframework.so*", "lib/*/libframework.so*"} {
		names, _ := filepath.Glob(filepath.Join(escapeGlob(l.Prefix), pattern))
		for _, name := range names {
			if target, err := filepath.EvalSymlinks(name); err == nil && !slices.Contains(libraries, target) {
				libraries = append(libraries, target)
			}
		}
	}
	if len(libraries) == 0 {
		manager := filepath.Join(l.Prefix, "bin/manager")
		family, err := l.familyOf(manager)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("there is no libframework.so in %s/lib* and no %s", l.Prefix, manager)
		}
		add(manager, family, err)
		return
	}
	families := map[string]string{}
	for _, library := range libraries {
		family, err := l.familyOf(library)
		if err != nil || family == "" {
			add(library, family, err)
			continue
		}
		families[family] = library
	}
	if len(families) > 1 {
		add("", "", fmt.Errorf("there are libraries of several releases: %s", strings.Join(libraries, ", ")))
		return
	}
	for family, library := range families {
		add("the library "+library, family, nil)
	}
}

func (l *Looker) familyOf(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if known := l.read[name]; known.same(info) {
		return known.family, nil
	}
	family, err := familyOfFile(name)
	if err != nil {
		return "", err
	}
	if l.read == nil {
		l.read = map[string]seen{}
	}
	l.read[name] = seen{identity{info}, family}
	return family, nil
}

func (l *Looker) proc() string {
	if l.Proc != "" {
		return l.Proc
	}
	return "/proc"
}

// escapeGlob keeps filepath.Glob from reading a prefix as a pattern.
func escapeGlob(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(text)
}
