package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/google/go-cmp/cmp"
)

func TestReferenceIsNotStale(t *testing.T) {
	var text bytes.Buffer
	if err := run(t.Context(), nil, &text, &text); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile("../../doc/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(written), text.String()); diff != "" {
		t.Errorf("doc/reference.md is stale: run go generate ./examples/reference (-it +now)\n%s", diff)
	}
	for _, installation := range installations() {
		manifest, err := install.ParseManifest(installation.Manifest)
		if err != nil {
			t.Fatal(err)
		}
		for key := range manifest.Config {
			if !strings.Contains(text.String(), "| `"+key+"` |") {
				t.Errorf("the page has no key %s of %s", key, installation.Module)
			}
		}
	}
	if strings.Contains(text.String(), os.TempDir()) {
		t.Error("the page has a path of this machine")
	}
}

func TestCommandsAreFound(t *testing.T) {
	help := "Usage: tool <command>\n\nFlags:\n  -h, --help    Show.\n\nCommands:\n  status        Show.\n  watch [<m>]   Watch\n                and watch.\n" +
		"  key create <dir>\n    Make a key.\n\nRun \"tool <command> --help\".\n"
	if diff := cmp.Diff([]string{"status", "watch", "key create"}, commandsIn(help)); diff != "" {
		t.Error(diff)
	}
}
