package satellite

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest"
)

func TestTheLoggerOfEverestIsEnough(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]func(everest.Options) *zap.Logger{
		"agent":      func(o everest.Options) *zap.Logger { return NewAgent(AgentConfig{Everest: o}).log },
		"controller": func(o everest.Options) *zap.Logger { return NewController(ControllerConfig{Everest: o}).log },
	} {
		core, logs := observer.New(zap.InfoLevel)
		log(everest.Options{ModuleID: "m", Logger: zap.New(core)}).Info("hello")
		if logs.Len() != 1 {
			t.Errorf("%s logs nothing", name)
		}
		log(everest.Options{ModuleID: "m"}).Info("to nobody")
	}
}
