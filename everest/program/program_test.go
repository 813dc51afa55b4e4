package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/install"
)

func TestProgramRunsWithTheManagersArguments(t *testing.T) {
	failed := errors.New("failed")
	main := program{run: func(ctx context.Context, options everest.Options) error {
		if options.ModuleID != "port" || options.Logger == nil || ctx.Err() != nil {
			t.Errorf("options %+v, context %v", options, ctx.Err())
		}
		return failed
	}}
	if err := main.start([]string{"--module", "port"}); !errors.Is(err, failed) {
		t.Errorf("error %v, want that of Run", err)
	}
}

// TestProgramThatIsAskedToEnd: the end of the context is no error, another error at that time is.
func TestProgramThatIsAskedToEnd(t *testing.T) {
	failed := errors.New("failed")
	for _, want := range []error{nil, failed} {
		main := program{run: func(ctx context.Context, _ everest.Options) error {
			if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
				return err
			}
			<-ctx.Done()
			if want != nil {
				return want
			}
			return fmt.Errorf("%w: %w", ctx.Err(), context.Cause(ctx))
		}}
		if err := main.start([]string{"--module", "port"}); !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	main := program{installation: install.Installation{Module: "ExampleModule"}}
	var text strings.Builder
	if err := main.printHelp(&text); err != nil {
		t.Fatal(err)
	}
	for _, flag := range Flags() {
		if !strings.Contains(text.String(), "--"+flag.Name) || !strings.Contains(text.String(), flag.Variable) {
			t.Errorf("the help has no %+v:\n%s", flag, text.String())
		}
		if flag.Value == "" != flagsWithoutValue[flag.Name] {
			t.Errorf("flag %s is read otherwise than told", flag.Name)
		}
		// The text of a known flag may look like a flag, as an odd path does.
		if flag.Variable != "" && readFlags([]string{"--" + flag.Name, "-x"})[flag.Name] != "-x" {
			t.Errorf("flag %s does not take a value that starts with a dash", flag.Name)
		}
	}
	for _, argument := range []string{"--help", "-h", "-version"} {
		if err := main.start([]string{argument}); err != nil {
			t.Errorf("%s: %v", argument, err)
		}
	}
}

func TestProgramInstallsItself(t *testing.T) {
	prefix := t.TempDir()
	main := program{
		installation: install.Installation{Module: "ExampleModule", Manifest: []byte("description: example\n")},
		run: func(context.Context, everest.Options) error {
			t.Error("a program that installs itself must not run")
			return nil
		},
	}
	if err := main.start([]string{"--install", prefix}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(prefix, "libexec/everest/modules/ExampleModule/ExampleModule")); err != nil || info.Mode().Perm()&0o111 == 0 {
		t.Errorf("installed %v, %v", info, err)
	}
	for _, arguments := range [][]string{{"-install"}, {"-install", "a", "b"}, {}} {
		if err := main.start(arguments); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want one line", arguments, err)
		}
	}
}

func TestInstallCommandLine(t *testing.T) {
	installation := install.Installation{Options: []install.Option{{Name: "others", Usage: "names"}}}
	for _, test := range []struct {
		arguments string
		prefix    string
		chosen    map[string]string
		wrong     string
	}{
		{arguments: "/usr", prefix: "/usr", chosen: map[string]string{}},
		{arguments: "/usr -others a,b", prefix: "/usr", chosen: map[string]string{"others": "a,b"}},
		{arguments: "/usr --others=", prefix: "/usr", chosen: map[string]string{"others": ""}},
		{arguments: "-others a", wrong: "takes -others with names"},
		{arguments: "/usr -other a", wrong: "takes -others with names"},
		{arguments: "/usr more", wrong: `unexpected argument "more"`},
		{arguments: "", wrong: "the prefix"},
	} {
		prefix, chosen, err := program{installation: installation}.parseInstall(strings.Fields(test.arguments))
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%q: error %v, want one with %q", test.arguments, err, test.wrong)
			}
			continue
		}
		if diff := cmp.Diff(test.chosen, chosen); err != nil || prefix != test.prefix || diff != "" {
			t.Errorf("%q: prefix %q, error %v, chosen (-want +got):\n%s", test.arguments, prefix, err, diff)
		}
	}
}
