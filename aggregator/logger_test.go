package aggregator

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest"
)

func TestTheLoggerOfEverestIsEnough(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	New(Config{Everest: everest.Options{ModuleID: "m", Logger: zap.New(core)}}).station.log.Info("hello")
	if logs.Len() != 1 {
		t.Error("the aggregator logs nothing")
	}
	New(Config{}).station.log.Info("to nobody")
}
