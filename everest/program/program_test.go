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
	// A prefix without an EVerest is probably another one than was meant.
	if err := main.start([]string{"--install", prefix}); err == nil || !strings.Contains(err.Error(), "no EVerest at "+prefix) || !strings.Contains(err.Error(), "-force") {
		t.Errorf("without EVerest: %v", err)
	}
	if entries, err := os.ReadDir(prefix); err != nil || len(entries) > 0 {
		t.Errorf("installed without EVerest: %v, %v", entries, err)
	}
	if err := main.start([]string{"--install", prefix, "-force"}); err != nil {
		t.Fatal(err)
	}
	here := t.TempDir()
	for _, folder := range []string{"interfaces", "types", "errors"} {
		if err := os.MkdirAll(filepath.Join(here, "share/everest", folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := main.start([]string{"--install", here}); err != nil {
		t.Error(err)
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
		force     bool
		wrong     string
	}{
		{arguments: "/usr", prefix: "/usr", chosen: map[string]string{}},
		{arguments: "/usr -force -others a", prefix: "/usr", force: true, chosen: map[string]string{"others": "a"}},
		{arguments: "/usr -others a,b", prefix: "/usr", chosen: map[string]string{"others": "a,b"}},
		{arguments: "/usr --others=", prefix: "/usr", chosen: map[string]string{"others": ""}},
		{arguments: "-others a", wrong: "takes -others with names"},
		{arguments: "/usr -other a", wrong: "takes -others with names"},
		{arguments: "/usr more", wrong: `unexpected argument "more"`},
		{arguments: "", wrong: "the prefix"},
	} {
		prefix, chosen, force, err := program{installation: installation}.parseInstall(strings.Fields(test.arguments))
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%q: error %v, want one with %q", test.arguments, err, test.wrong)
			}
			continue
		}
		if diff := cmp.Diff(test.chosen, chosen); err != nil || prefix != test.prefix || force != test.force || diff != "" {
			t.Errorf("%q: prefix %q, error %v, chosen (-want +got):\n%s", test.arguments, prefix, err, diff)
		}
	}
}

// A manager of a later release may pass further flags: they are named, and the module goes on.
func TestUnknownFlagsAreNamed(t *testing.T) {
	const managers = "--prefix /usr --conf /etc/c.yaml --module m --log_config l --mqtt_everest_prefix everest/ --mqtt_external_prefix= " +
		"--mqtt_broker_socket_path /s --mqtt_broker_host h --mqtt_broker_port 1 --framework_transport mqtt --config c -m m --dontvalidateschema " +
		"--everest_wire C --spawned true"
	if unknown := unknownFlags(strings.Fields(managers)); len(unknown) > 0 {
		t.Errorf("what managers of today pass is unknown: %v", unknown)
	}
	for _, test := range []struct{ arguments, want string }{
		{"--new_flag value --module m", "new_flag"},
		{"--module m --new_flag", "new_flag"},
		{"--another=1 --new_flag --module m", "another new_flag"},
		{"--module --odd", ""}, // the value of --module
		{"--moduel m", "moduel"},
	} {
		if got := strings.Join(unknownFlags(strings.Fields(test.arguments)), " "); got != test.want {
			t.Errorf("%q: unknown are %q, want %q", test.arguments, got, test.want)
		}
	}
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprint("--f", i)
	}
	if unknown := unknownFlags(many); len(unknown) != maxUnknown {
		t.Errorf("%d unknown flags are named", len(unknown))
	}
	ran := false
	main := program{run: func(_ context.Context, options everest.Options) error {
		ran = options.ModuleID == "m"
		return nil
	}}
	if err := main.start([]string{"--new_flag", "value", "--module", "m"}); err != nil || !ran {
		t.Errorf("a module with an unknown flag: %v, ran %v", err, ran)
	}
}
