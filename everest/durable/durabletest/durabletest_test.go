package durabletest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/durable/durabletest"
)

// readFile reads a file of one line, which is damaged if the line has no end.
func readFile(directory string) (string, error) {
	content, err := os.ReadFile(filepath.Join(directory, "file"))
	if errors.Is(err, fs.ErrNotExist) {
		return "none", nil
	}
	if err == nil && !strings.HasSuffix(string(content), "\n") {
		err = fmt.Errorf("half a line: %q", content)
	}
	return string(content), err
}

// failures is a test whose errors are kept instead of failing.
type failures struct {
	testing.TB
	errors []string
}

func (f *failures) Errorf(format string, arguments ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, arguments...))
}
func (f *failures) Failed() bool { return len(f.errors) > 0 }

// step writes a file, with or without fsync of the file and the directory.
func step(content string, syncFile, syncDirectory bool) func(string) error {
	return func(directory string) error {
		written := filepath.Join(directory, "new")
		file, err := os.Create(written)
		if err != nil {
			return err
		}
		if _, err := file.WriteString(content); err != nil {
			return err
		}
		if syncFile {
			err = file.Sync()
		}
		if err := errors.Join(err, file.Close(), os.Rename(written, filepath.Join(directory, "file"))); err != nil || !syncDirectory {
			return err
		}
		opened, err := os.Open(directory)
		if err != nil {
			return err
		}
		return errors.Join(opened.Sync(), opened.Close())
	}
}

// TestCutFindsWhatIsMissing: each of the two calls of fsync is missed.
func TestCutFindsWhatIsMissing(t *testing.T) {
	for _, test := range []struct {
		name               string
		file, directoryToo bool
		want               string
	}{
		{"nothing", true, true, ""},
		{"the fsync of the file", false, true, "half a line"},
		{"the fsync of the directory", true, false, `want "one\n" or "two\n"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			kept := &failures{TB: t}
			durabletest.Cut(kept, durabletest.Program{
				Steps:   []func(string) error{step("one\n", test.file, test.directoryToo), step("two\n", test.file, test.directoryToo)},
				Read:    readFile,
				Repeats: true,
			})
			got := strings.Join(kept.errors, "\n")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("found:\n%s\nwant %q", got, test.want)
			}
		})
	}
}

// TestCutFindsWhatIsInTheWay: a file that is left over stops the next attempt.
func TestCutFindsWhatIsInTheWay(t *testing.T) {
	kept := &failures{TB: t}
	durabletest.Cut(kept, durabletest.Program{
		Steps: []func(string) error{func(directory string) error {
			file, err := os.OpenFile(filepath.Join(directory, "new"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			if err := file.Close(); err != nil {
				return err
			}
			return step("one\n", true, true)(directory)
		}},
		Read:    readFile,
		Repeats: true,
	})
	if len(kept.errors) != 1 || !strings.Contains(kept.errors[0], "step 1 fails after it") {
		t.Errorf("found %q", kept.errors)
	}
}

func ExampleCut() {
	// In a test, where t is its *testing.T.
	test := func(t *testing.T) {
		durabletest.Cut(t, durabletest.Program{
			Steps: []func(string) error{step("one\n", true, true), step("two\n", true, true)},
			Read:  readFile,
		})
	}
	_ = test
}
