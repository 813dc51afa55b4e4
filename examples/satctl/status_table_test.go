package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// A module that works says all the same what it suspects of the network.
func TestStatusShowsWhatIsSuspectedOfThePath(t *testing.T) {
	var out strings.Builder
	status := &control.Status{ModuleID: "connector_2", Health: control.Healthy, Link: &control.Link{Connected: true, Path: "Large messages do not arrive."}}
	s := &invocation{surroundings: surroundings{out: &out}}
	glance(s, []*module{{name: "connector_2", status: status}}, time.Now())
	if !strings.Contains(out.String(), "trouble  connector_2: Large messages do not arrive.\n") {
		t.Errorf("status:\n%s", &out)
	}
	out.Reset()
	details(&out, status, "", time.Now())
	if !strings.Contains(out.String(), "Large messages do not arrive.") {
		t.Errorf("details:\n%s", &out)
	}
}

// An EVSE with an error of severity High is red, comes first, and fails the command.
func TestStatusShowsAFaultFirst(t *testing.T) {
	now := time.Now()
	var modules []*module
	for i := range 12 {
		status := &control.Status{ModuleID: fmt.Sprintf("connector_%d", i+1), Health: control.Healthy, EVSE: &control.EVSE{Number: i + 1, State: control.EVSEAvailable, Since: now}}
		modules = append(modules, &module{name: status.ModuleID, status: status})
	}
	if err := worst(modules, now); err != nil {
		t.Errorf("all work: %v", err)
	}
	evse := modules[9].status.EVSE
	evse.State, evse.Errors = control.EVSEFaulted, []control.EVSEError{{Type: "evse_board_support/MREC17EVSEContactorFault", Severity: "High", Text: "\x1b[2Jopen"}}
	var out strings.Builder
	glance(&invocation{surroundings: surroundings{out: &out, coloured: true}, raw: &out}, printable(modules), now)
	lines := strings.Split(out.String(), "\n")
	if !strings.HasPrefix(lines[1], "\x1b[1;31m10") || !strings.HasPrefix(lines[2], "1 ") || !strings.HasPrefix(lines[10], "9 ") || !strings.HasPrefix(lines[11], "11 ") ||
		!strings.HasPrefix(lines[14], "\x1b[1;31mdown     EVSE 10, connector_10: The contactor does not switch as it should") || strings.Contains(out.String(), "\x1b[2J") {
		t.Errorf("status:\n%q", lines)
	}
	if err := worst(modules, now); statusOf(err) != exitNotWorking {
		t.Errorf("the exit status is that of %v", err)
	}
}
