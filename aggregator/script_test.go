package aggregator

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewriteScripts = flag.Bool("rewrite", false, "write what the cores do into the scripts of testdata; read the difference before it is committed")

// runScripts plays the scripts that match the pattern. A script is a story: a line is something that happens, the
// indented lines after it are what the core wants done. # begins a comment.
func runScripts(t *testing.T, pattern string, play func() func(line string) ([]string, error)) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts match %s: %v", pattern, err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			step := play()
			var got strings.Builder
			for number, line := range strings.Split(strings.TrimRight(string(want), "\n"), "\n") {
				if strings.HasPrefix(line, "  ") {
					continue
				}
				fmt.Fprintln(&got, line)
				if line == "" || strings.HasPrefix(line, "#") {
					continue
				}
				actions, err := step(line)
				if err != nil {
					t.Fatalf("%s:%d: %v", path, number+1, err)
				}
				for _, action := range actions {
					fmt.Fprintf(&got, "  %s\n", action)
				}
			}
			if *rewriteScripts {
				if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s (-script +what the core does):\n%s", path, diff)
			}
		})
	}
}
