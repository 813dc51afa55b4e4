package everesttest_test

import (
	"os"
	"strings"
	"testing"
)

// The module and its test on the page are a test of this package, so that they compile and pass.
func TestDocumentationShowsDoorman(t *testing.T) {
	page, err := os.ReadFile("../../doc/everesttest.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("doorman_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```go\n"+string(example)+"```\n") {
		t.Error("doc/everesttest.md does not show doorman_test.go as it is")
	}
	if lines := strings.Count(string(example), "\n"); lines >= 60 {
		t.Errorf("module and test have %d lines, want fewer than 60", lines)
	}
}
