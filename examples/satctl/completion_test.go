package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// deadSocket makes the file that a process has left behind.
func deadSocket(t *testing.T, path string) {
	t.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	listener.Close()
}

// completed are the candidates for the last word.
func completed(t *testing.T, environment map[string]string, words ...string) []string {
	t.Helper()
	return strings.Fields(satctl(t, environment, append([]string{"__complete"}, words...)...).expect(t, exitWell).out)
}

func socketsOf(t *testing.T, names ...string) map[string]string {
	t.Helper()
	directory, err := os.MkdirTemp("", "satctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	for _, name := range names {
		deadSocket(t, filepath.Join(directory, name+".sock"))
	}
	return map[string]string{"RUNTIME_DIRECTORY": directory}
}

func TestCompletion(t *testing.T) {
	environment := socketsOf(t, "connector_1", "connector_2", "system")
	for _, test := range []struct {
		words string
		want  string
	}{
		{"status connector_1 c", "connector_1 connector_2"},
		{"ping ", "connector_1 connector_2 system"},
		{"ping connector_1 ", ""},
		{"ping --count ", ""},
		{"ping --count 3 s", "system"},
		{"ping -c 3 s", "system"},
		{"ping --count=3 s", "system"},
		{"--json ping s", "system"},
		{"ping --co", "--count"},
		{"completion ", "bash zsh fish"},
		{"completion b", "bash"},
		{"logs --output ", ""},
		{"disc", "discover"},
		{"nonsense ", ""},
	} {
		words := strings.Split(test.words, " ")
		if test.words == "nonsense " {
			words = []string{"completion", "nonsense", ""}
		}
		if diff := cmp.Diff(test.want, strings.Join(completed(t, environment, words...), " ")); diff != "" {
			t.Errorf("satctl %s (-want +got):\n%s", test.words, diff)
		}
	}
}

// The script works in a real shell, with the real program.
func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	program := filepath.Join(t.TempDir(), "satctl")
	if output, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	environment := socketsOf(t, "connector_1", "system")
	command := exec.Command(bash, "--norc", "-c", `set -e
PATH="$1:$PATH"
eval "$(satctl completion bash)"
for line in "satctl st" "satctl ping c" "satctl ping --j" "satctl completion "; do
	COMP_WORDS=($line)
	[[ $line == *" " ]] && COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_satctl
	echo "$line: ${COMPREPLY[*]}"
done
complete -p satctl`, "bash", filepath.Dir(program))
	command.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+environment["RUNTIME_DIRECTORY"])
	output, err := command.CombinedOutput()
	want := "satctl st: status\nsatctl ping c: connector_1\nsatctl ping --j: --json\nsatctl completion : bash zsh fish\ncomplete -o default -F _satctl satctl\n"
	if diff := cmp.Diff(want, string(output)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
