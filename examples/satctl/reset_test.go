package main

import (
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

func TestResetOfOneBoard(t *testing.T) {
	s := startStation(t, nil)
	s.waitHealthy(t)
	if got := s.satctl(t, "reset", "connector_2", "--hard"); got.status != exitWell || got.out != "1_connector_2: is being reset\n" {
		t.Errorf("%+v", got)
	}
	select {
	case reset := <-s.resets:
		if reset != `satellite "Hard"` {
			t.Errorf("reset of %s", reset)
		}
	case <-time.After(everesttest.Patience):
		t.Error("the satellite's system was not asked for a reset")
	}
	for board, status := range map[string]int{"0": exitNever, "nobody": exitNever} {
		if got := s.satctl(t, "reset", board); got.status != status || !strings.HasPrefix(got.errors, "satctl: ") {
			t.Errorf("%s: %+v", board, got)
		}
	}
}
