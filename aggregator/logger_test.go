package aggregator

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Auth and OCPP take two controllers with one mapping for one EVSE.
func TestSatellitesThatShareAnEVSE(t *testing.T) {
	t.Parallel()
	const line = "two satellites stand for one EVSE: give each controller a mapping of its own"
	s := newStation(t, 3, map[string]any{sharedEVSE: true})
	found := s.logs.FilterMessage(line).All()
	if len(found) != 1 {
		t.Fatalf("%d lines, want one", len(found))
	}
	if diff := cmp.Diff(map[string]any{"evse": int64(2), "modules": []any{"board1", "board2"}, "module_id": "aggregator"}, found[0].ContextMap()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if found := newStation(t, 3, nil).logs.FilterMessage(line).Len(); found > 0 {
		t.Errorf("%d lines where each has its own", found)
	}
}

func TestTheLoggerOfEverestIsEnough(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	New(Config{Everest: everest.Options{ModuleID: "m", Logger: zap.New(core)}}).station.log.Info("hello")
	if logs.Len() != 1 {
		t.Error("the aggregator logs nothing")
	}
	New(Config{}).station.log.Info("to nobody")
}
