package discovery

import (
	"slices"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// A name that no interface has is logged once, with the names that there are.
func TestMissingInterfaceIsLoggedOnce(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	n := &network{names: []string{"no-such-0", "lo"}, log: zap.New(core), interfaces: map[string]*networkInterface{}}
	n.refresh()
	n.refresh()
	lines := logs.FilterMessageSnippet("no such interface").All()
	if len(lines) != 1 {
		t.Fatalf("%d lines: %v", len(lines), lines)
	}
	fields := lines[0].ContextMap()
	if present, ok := fields["interfaces"].([]any); fields["interface"] != "no-such-0" || !ok || !slices.Contains(present, any("lo")) {
		t.Errorf("the line has %v", fields)
	}
}
