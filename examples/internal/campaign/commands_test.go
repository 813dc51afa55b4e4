//go:build linux

package campaign

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
)

func TestCommands(t *testing.T) {
	failure := errors.New("failed")
	for _, test := range []struct {
		name  string
		kind  commandKind
		times int
		err   error
		met   excuse
		want  string
	}{
		{"once", reserve, 1, nil, metNothing, ""},
		{"twice", reserve, 2, nil, metNothing, "executed 2 times"},
		{"twice after a kill", reserve, 2, nil, metKill, "executed 2 times"},
		{"answered only", reserve, 0, nil, metNothing, "not executed"},
		{"answered only, after a kill", reserve, 0, nil, metKill, "not executed"},
		{"without a result, after a kill", setDuration, 0, nil, metKill, ""},
		{"repeated by its caller", enforceLimits, 0, nil, metNothing, ""},
		{"failed", reserve, 1, failure, metNothing, "failed"},
		{"failed after a kill", reserve, 1, failure, metKill, ""},
		{"failed with its broker", reserve, 0, fmt.Errorf("call: %w", everest.ErrBrokerLost), metMainBroker, ""},
		{"failed with the satellite's broker", reserve, 1, &everest.CommandError{Type: everest.HandlerException}, metPortBroker, ""},
		{"failed otherwise while a broker was away", reserve, 0, failure, metMainBroker, "failed"},
		{"no end while a broker was away", reserve, 0, &everest.CommandError{Type: everest.CmdTimeout}, metMainBroker, "CmdTimeout"},
		{"answered only, while a broker was away", reserve, 0, nil, metMainBroker, "not executed"},
		{"without a result, while a broker was away", setDuration, 0, nil, metMainBroker, ""},
		{"twice while a broker was away", setDuration, 2, nil, metMainBroker, "executed 2 times"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var problems []string
			commands := NewCommands(func(text string) { problems = append(problems, text) })
			number := commands.Call(test.kind)
			for range test.times {
				commands.Execute(number)
			}
			if ended, _ := commands.Ended(number); ended {
				t.Error("the command has an end before its answer")
			}
			commands.Answer(number, test.err, test.met)
			if ended, _ := commands.Ended(number); !ended {
				t.Error("the command has no end")
			}
			if got := strings.Join(problems, "; "); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("problems %q, want %q", got, test.want)
			}
			if commands.Open() != 0 {
				t.Error("the command has no end")
			}
		})
	}
}

// A command without a result is answered at once, and executed later. Only a kill excuses that it never is.
func TestCommandsThatAreOwed(t *testing.T) {
	var problems []string
	commands := NewCommands(func(text string) { problems = append(problems, text) })
	paid := func(want bool) {
		t.Helper()
		if got, _ := commands.Paid(); got != want {
			t.Errorf("all is executed: %v", got)
		}
	}
	first, second := commands.Call(setDuration), commands.Call(setDuration)
	commands.Answer(first, nil, metNothing)
	commands.Answer(second, nil, metNothing)
	paid(false)
	commands.Execute(second)
	paid(false)
	commands.Execute(first)
	paid(true)
	commands.Answer(commands.Call(setDuration), nil, metNothing)
	paid(false)
	commands.Kill()
	paid(true)
	refused := commands.Call(reserve)
	commands.Refuse(refused, metMainBroker)
	commands.Execute(refused)
	given := commands.Call(reserve)
	commands.Refuse(given, metPortBroker)
	commands.Execute(given)
	if got, want := strings.Join(problems, "; "), "command 1, set_duration_s, was executed after command 2; command 4, reserve, was executed after its negative answer"; got != want {
		t.Errorf("problems %q, want %q", got, want)
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
