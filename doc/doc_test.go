// Package doc holds nothing but the tests of the documentation: that every link leads somewhere, and that every command
// does what the page says.
package doc

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// page is one page of the documentation.
type page struct {
	// path is relative to the repository.
	path  string
	lines []string
}

// pages are those below doc, the README, and those of .github.
func pages(t *testing.T) []page {
	t.Helper()
	var all []page
	add := func(path string) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		read := page{path: filepath.Clean(filepath.Join("doc", path))}
		for scanner := bufio.NewScanner(bytes.NewReader(content)); scanner.Scan(); {
			read.lines = append(read.lines, scanner.Text())
		}
		all = append(all, read)
	}
	for _, path := range []string{"../README.md", "../.github/CONTRIBUTING.md", "../.github/SECURITY.md"} {
		add(path)
	}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".md") {
			add(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found %d pages", len(all))
	}
	return all
}

// fence is a fenced block: its language and where its first line is, counted from 1.
type fence struct {
	language string
	line     int
	lines    []string
}

// fences returns the fenced blocks of a page, and the lines outside of them.
func (p page) fences() (blocks []fence, outside []string) {
	var open *fence
	for i, line := range p.lines {
		mark, fenced := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fenced && open != nil:
			blocks = append(blocks, *open)
			open = nil
		case fenced:
			open = &fence{language: mark, line: i + 2}
		case open != nil:
			open.lines = append(open.lines, line)
			continue
		default:
			outside = append(outside, line)
			continue
		}
		outside = append(outside, "")
	}
	return blocks, outside
}

// languages are what a fenced block may be. Commands are in sh, or in console with what they write: those are executed.
var languages = []string{"sh", "console", "go", "yaml", "json", "ini", "text", "mermaid", "conf"}

func TestBlocksSayWhatTheyAre(t *testing.T) {
	for _, page := range pages(t) {
		blocks, outside := page.fences()
		for _, block := range blocks {
			if !slices.Contains(languages, block.language) {
				t.Errorf("%s:%d: the block's language is %q: use one of %v; commands are sh or console", page.path, block.line, block.language, languages)
			}
			if block.language != "text" {
				continue
			}
			for i, line := range block.lines {
				if strings.HasPrefix(line, "$ ") {
					t.Errorf("%s:%d: a command in a block of text: put it into one of console", page.path, block.line+i)
				}
			}
		}
		for i, line := range outside {
			if strings.HasPrefix(line, "    ") && strings.TrimSpace(line) != "" && (i == 0 || strings.TrimSpace(outside[i-1]) == "") {
				t.Errorf("%s:%d: an indented block: use a fenced one that says what it is", page.path, i+1)
			}
		}
	}
}
