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

// deadSocket creates the socket of a process that has ended.
func deadSocket(t *testing.T, path string) {
	t.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	listener.Close()
}

// completed returns the candidates for the last word.
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

// shells have a script for each shell that prints its completions of each line of standard input, or "files" for file
// names.
var shells = map[string]string{
	"bash": `eval "$(satctl completion bash)"
while IFS= read -r line; do
	COMP_WORDS=($line)
	[[ $line == *" " ]] && COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_satctl
	echo "$line: ${COMPREPLY[*]:-files}"
done
complete -p satctl`,
	"zsh": `compdef() { print "compdef $*" }
_files() { print files }
compadd() { shift; print -- "${(P@)1}" }
eval "$(satctl completion zsh)"
while IFS= read -r line; do
	words=(${=line}); [[ $line == *" " ]] && words+=("")
	CURRENT=${#words}
	print "$line: $(_satctl)"
done`,
	"fish": `satctl completion fish | source
while read -l line
	echo "$line: "(string join -- ' ' (complete -C "$line"))
end`,
}

func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "satctl")
	if output, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	environment := socketsOf(t, "connector_1", "system")
	elsewhere := socketsOf(t, "connector_7")["RUNTIME_DIRECTORY"]
	lines := "satctl st\nsatctl ping c\nsatctl ping --j\nsatctl -d " + elsewhere + " ping c\nsatctl completion b\n"
	answers := "satctl st: status\nsatctl ping c: connector_1\nsatctl ping --j: --json\nsatctl -d " + elsewhere + " ping c: connector_7\nsatctl completion b: bash\n"
	for _, test := range []struct {
		shell     string
		arguments []string
		asked     string
		want      string
	}{
		{"bash", []string{"--norc", "-c"}, lines + "satctl logs -o x\n", answers + "satctl logs -o x: files\ncomplete -o default -F _satctl satctl\n"},
		{"zsh", []string{"-f", "-c"}, lines + "satctl logs -o x\n", "compdef _satctl satctl\n" + answers + "satctl logs -o x: files\n"},
		{"fish", []string{"--no-config", "-c"}, lines, answers},
	} {
		t.Run(test.shell, func(t *testing.T) {
			shell, err := exec.LookPath(test.shell)
			if err != nil {
				t.Skip(test.shell + " is not installed")
			}
			command := exec.CommandContext(t.Context(), shell, append(test.arguments, shells[test.shell])...)
			command.Stdin = strings.NewReader(test.asked)
			command.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+environment["RUNTIME_DIRECTORY"],
				"PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "HOME="+t.TempDir())
			output, err := command.CombinedOutput()
			if diff := cmp.Diff(test.want, string(output)); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}
