package everesttest

import (
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// Reading what WriteInstallation has written gives equal definitions.
func TestWriteInstallation(t *testing.T) {
	known, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	prefix := t.TempDir()
	if err := WriteInstallation(prefix, known); err != nil {
		t.Fatal(err)
	}
	installed, err := install.InstalledInterfaces(prefix, known.InterfaceNames()...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(known.InterfaceNames(), installed.InterfaceNames()); diff != "" {
		t.Fatalf("interfaces (-want +got):\n%s", diff)
	}
	for _, name := range known.InterfaceNames() {
		if diff := cmp.Diff(known.Digest(name), installed.Digest(name)); diff != "" {
			t.Errorf("interface %s (-want +got):\n%s", name, diff)
		}
		one, _ := known.Interface(name)
		two, _ := installed.Interface(name)
		for command, declared := range one.Commands {
			var want, got []string
			for i := range declared.Arguments {
				want, got = append(want, declared.Arguments[i].Name), append(got, two.Commands[command].Arguments[i].Name)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("arguments of %s.%s (-want +got):\n%s", name, command, diff)
			}
		}
	}
	if err := installed.Compile(); err != nil {
		t.Error(err)
	}

	some := t.TempDir()
	if err := WriteInstallation(some, known, "energy", "auth"); err != nil {
		t.Fatal(err)
	}
	target, err := install.ReadTarget(some)
	if err != nil || !target.Has("energy") || target.Has("system") {
		t.Errorf("target %v, %v", target, err)
	}
	if err := WriteInstallation(some, known, "nobody_knows"); err == nil {
		t.Error("an undefined interface is written")
	}
}
