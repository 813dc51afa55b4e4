package doc

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testCommand = regexp.MustCompile("go test [^`\n]*")
	// testFlag is what a command runs by name. Nothing is named xxx, and such a command runs another flag's.
	testFlag = regexp.MustCompile(`-(run|bench|fuzz) ('[^']*'|[^ ()]+)`)
	packages = regexp.MustCompile(`\./[\w./]+`)
	// testName is a test that a page names by itself, or the beginning of several names.
	testName  = regexp.MustCompile("`((?:Test|Benchmark|Fuzz)[A-Z]\\w*)")
	testNames = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz|Example)\w*)\(`)
)

// namesIn returns the tests of the packages of a pattern, as functions.
func namesIn(t *testing.T, pattern string) (names []string) {
	t.Helper()
	folder, deep := strings.CutSuffix(pattern, "/...")
	err := filepath.WalkDir(filepath.Join("..", folder), func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && !deep && path != filepath.Join("..", folder):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		content, err := os.ReadFile(path)
		for _, name := range testNames.FindAllStringSubmatch(string(content), -1) {
			names = append(names, name[1])
		}
		return err
	})
	if err != nil {
		t.Errorf("%s: %v", pattern, err)
	}
	return names
}

// TestNamedTestsAreThere wants each test that a page names to exist: go test passes where none does.
func TestNamedTestsAreThere(t *testing.T) {
	found, all := 0, namesIn(t, "./...")
	for _, page := range pages(t) {
		text := strings.ReplaceAll(strings.Join(page.lines, "\n"), `\|`, "|") // as in a table
		for _, named := range testName.FindAllStringSubmatch(text, -1) {
			found++
			if !matchesAny(t, "", "^"+named[1], all) {
				t.Errorf("%s: there is no %s", page.path, named[1])
			}
		}
		for _, command := range testCommand.FindAllString(text, -1) {
			var names []string
			for _, pattern := range packages.FindAllString(command, -1) {
				names = append(names, namesIn(t, pattern)...)
			}
			for _, flag := range testFlag.FindAllStringSubmatch(command, -1) {
				pattern := strings.Trim(flag[2], "'")
				if strings.EqualFold(pattern, "xxx") || pattern == "^$" {
					continue
				}
				prefix := map[string]string{"run": "(?:Test|Fuzz|Example)", "bench": "Benchmark", "fuzz": "Fuzz"}[flag[1]]
				alternatives := []string{pattern}
				if !strings.Contains(pattern, "(") {
					alternatives = strings.Split(pattern, "|")
				}
				for _, alternative := range alternatives {
					alternative, _, _ = strings.Cut(alternative, "/")
					found++
					if !matchesAny(t, prefix, alternative, names) {
						t.Errorf("%s: %s names %s, which is not there", page.path, command, alternative)
					}
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("found %d names", found)
	}
}

func matchesAny(t *testing.T, prefix, pattern string, names []string) bool {
	t.Helper()
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		t.Error(err)
		return true
	}
	kind := regexp.MustCompile("^" + prefix)
	for _, name := range names {
		if kind.MatchString(name) && wanted.MatchString(name) {
			return true
		}
	}
	return false
}

// TestEveryFuzzTargetIsRun wants each fuzz target in .ci/run.
func TestEveryFuzzTargetIsRun(t *testing.T) {
	script, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		for _, name := range testNames.FindAllStringSubmatch(string(content), -1) {
			command := fmt.Sprintf("fuzz ./%s %s", filepath.ToSlash(filepath.Dir(strings.TrimPrefix(path, "../"))), name[1])
			if strings.HasPrefix(name[1], "Fuzz") && !strings.Contains(string(script)+"\n", command) {
				t.Errorf(".ci/run does not have %q", command)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
