package everest_test

import (
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

func TestStartedIsCalledOnceAllModulesAreReady(t *testing.T) {
	manager := everesttest.NewManager(t, tenConfig(everesttest.NewBroker(t)))
	options := manager.Options("ten")
	started := make(chan struct{}, 10)
	options.Started = func() { started <- struct{}{} }
	process := everesttest.RunModule(t, options, nil)
	everesttest.WaitReady(t, manager)
	select {
	case <-started:
	case <-time.After(everesttest.Patience):
		t.Fatal("not called")
	}
	if err := process.Stop(); err == nil {
		t.Error("no reason of the end")
	}
	if len(started) > 0 {
		t.Error("called more than once")
	}
}
