package doc

import (
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code = regexp.MustCompile("`[^`]*`")
)

// TestLinksLeadSomewhere follows every link within the repository, to the heading where it names one.
func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	anchors := map[string][]string{}
	for _, page := range all {
		anchors[page.path] = page.anchors()
	}
	for _, page := range all {
		for _, target := range page.links() {
			to, err := url.Parse(target)
			if err != nil {
				t.Errorf("%s: the link %s cannot be read: %v", page.path, target, err)
				continue
			}
			if to.Scheme != "" {
				continue
			}
			file := page.path
			if to.Path != "" {
				file = path.Join(path.Dir(page.path), to.Path)
			}
			if _, err := os.Stat(path.Join("..", file)); err != nil {
				t.Errorf("%s: the link %s leads nowhere: %v", page.path, target, err)
			} else if known, isPage := anchors[file]; to.Fragment != "" && (!isPage || !slices.Contains(known, to.Fragment)) {
				t.Errorf("%s: the link %s names a heading that is not there", page.path, target)
			}
		}
	}
}

// TestIndexNamesEveryPage wants a reader of the index to find everything.
func TestIndexNamesEveryPage(t *testing.T) {
	all := pages(t)
	var named []string
	for _, page := range all {
		if page.path == "doc/README.md" {
			for _, target := range page.links() {
				file, _, _ := strings.Cut(target, "#")
				named = append(named, path.Join("doc", file))
			}
		}
	}
	for _, page := range all {
		if page.path != "README.md" && page.path != "doc/README.md" && !slices.Contains(named, page.path) {
			t.Errorf("doc/README.md does not name %s", page.path)
		}
	}
}

// links are the targets of a page's links.
func (p page) links() []string {
	var all []string
	_, outside := p.fences()
	for _, line := range outside {
		for _, found := range link.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
			all = append(all, found[1])
		}
	}
	return all
}

// anchors are the names of a page's headings, made as the repository's host makes them.
func (p page) anchors() []string {
	var all []string
	_, outside := p.fences()
	for _, line := range outside {
		title := strings.TrimLeft(line, "#")
		if title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title))
		all = append(all, anchor)
	}
	return all
}
