package doc

import (
	"bufio"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/remotechargeport/remotechargeport"

// The bounds of architecture.md. They hold for sources that a person writes and that are no tests.
const (
	maxFileLines   = 400
	maxFolderFiles = 30
	// smallFile is the length below which a file is listed by name, so that a concept is not cut into snippets.
	smallFile     = 40
	maxSmallFiles = 10
)

// sources calls visit with each Go source that is no test and not generated, by its path in the repository.
func sources(t *testing.T, visit func(path string, lines int, imports []string)) {
	t.Helper()
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() != ".." && strings.HasPrefix(entry.Name(), ".")):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if strings.Contains(string(content), "\n// Code generated ") || strings.HasPrefix(string(content), "// Code generated ") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, content, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, imported := range parsed.Imports {
			unquoted, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, unquoted)
		}
		lines := 0
		for scanner := bufio.NewScanner(strings.NewReader(string(content))); scanner.Scan(); {
			lines++
		}
		relative, err := filepath.Rel("..", name)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(relative), lines, imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFilesAreOneConceptEach holds the bounds of architecture.md.
func TestFilesAreOneConceptEach(t *testing.T) {
	folders := make(map[string]int)
	var small []string
	sources(t, func(name string, lines int, _ []string) {
		folders[path.Dir(name)]++
		switch {
		case lines > maxFileLines:
			t.Errorf("%s has %d lines, and at most %d are allowed: cut it where a second concept begins", name, lines, maxFileLines)
		case lines < smallFile:
			small = append(small, name)
		}
	})
	for folder, files := range folders {
		if files > maxFolderFiles {
			t.Errorf("%s has %d files, and at most %d are allowed: it holds more than one idea", folder, files, maxFolderFiles)
		}
	}
	if len(small) > maxSmallFiles {
		t.Errorf("%d files have fewer than %d lines, and at most %d may: merge some into the file of the concept they belong to:\n%s",
			len(small), smallFile, maxSmallFiles, strings.Join(small, "\n"))
	}
}

// mayKnow lists, for each part of the repository, the parts of it that its packages may import besides itself. A part is
// the longest of these names that a package's path begins with.
var mayKnow = map[string][]string{
	"rpc":                 nil,
	"everest":             {"everest/durable"},
	"everest/durable":     nil,
	"handshake":           nil,
	"satellite":           {"rpc", "everest", "everest/durable", "handshake", "satellite/internal", "satellite/identity", "satellite/discovery"},
	"satellite/internal":  {"rpc", "everest", "everest/durable", "handshake", "satellite/identity", "satellite/discovery"},
	"satellite/identity":  {"everest/durable"},
	"satellite/discovery": {"satellite/identity"},
	"aggregator":          {"everest", "everest/durable"},
	"examples":            {"rpc", "everest", "everest/durable", "handshake", "satellite", "satellite/identity", "satellite/discovery", "aggregator"},
}

func partOf(directory string) string {
	found := ""
	for part := range mayKnow {
		if (directory == part || strings.HasPrefix(directory, part+"/")) && len(part) > len(found) {
			found = part
		}
	}
	return found
}

// TestNobodyKnowsWhoIsAbove holds the table of architecture.md: who may know whom.
func TestNobodyKnowsWhoIsAbove(t *testing.T) {
	sources(t, func(name string, _ int, imports []string) {
		part := partOf(path.Dir(name))
		for _, imported := range imports {
			directory, ours := strings.CutPrefix(imported, module+"/")
			if !ours {
				continue
			}
			if other := partOf(directory); other != part && !slices.Contains(mayKnow[part], other) {
				t.Errorf("%s imports %s: %s may only know %v", name, directory, part, mayKnow[part])
			}
		}
	})
}
