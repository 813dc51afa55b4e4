//go:build linux

package campaign

import (
	"errors"
	"strings"
	"testing"
)

func TestCommands(t *testing.T) {
	failure := errors.New("failed")
	for _, test := range []struct {
		name   string
		kind   commandKind
		times  int
		err    error
		killed bool
		want   string
	}{
		{"once", reserve, 1, nil, false, ""},
		{"twice", reserve, 2, nil, false, "executed 2 times"},
		{"twice after a kill", reserve, 2, nil, true, "executed 2 times"},
		{"answered only", reserve, 0, nil, false, "not executed"},
		{"answered only, after a kill", reserve, 0, nil, true, "not executed"},
		{"without a result", setDuration, 0, nil, false, "not executed"},
		{"without a result, after a kill", setDuration, 0, nil, true, ""},
		{"repeated by its caller", enforceLimits, 0, nil, false, ""},
		{"failed", reserve, 1, failure, false, "failed"},
		{"failed after a kill", reserve, 1, failure, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var problems []string
			commands := NewCommands(func(text string) { problems = append(problems, text) })
			number := commands.Call(test.kind)
			for range test.times {
				commands.Execute(number)
			}
			commands.Answer(number, test.err, test.killed)
			if got := strings.Join(problems, "; "); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("problems %q, want %q", got, test.want)
			}
			if commands.Open() != 0 {
				t.Error("the command has no end")
			}
		})
	}
}

func TestCommandThatNobodyCalled(t *testing.T) {
	problem := ""
	commands := NewCommands(func(text string) { problem = text })
	commands.Execute(7)
	if !strings.Contains(problem, "never called") {
		t.Errorf("problem %q", problem)
	}
}
