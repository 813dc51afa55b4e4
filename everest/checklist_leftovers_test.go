package everest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// A manager of 2024.11 sends a configuration with QoS 0, so it may get lost. The module asks again.
func TestLostConfigurationIsAskedForAgain(t *testing.T) {
	broker := everesttest.NewBroker(t)
	config := bellConfig(t, broker)
	config.Family = "B1"
	manager := everesttest.NewManager(t, config)
	proxy := everesttest.NewProxy(t, broker)
	lost := proxy.Drop(1, everesttest.ToClient("everest/modules/tower/config"))
	options := through(proxy, manager.Options("tower"))
	options.ConfigTimeout = 200 * time.Millisecond
	everesttest.RunModule(t, options, nil)
	everesttest.RunModule(t, manager.Options("ringer"), nil)
	everesttest.WaitReady(t, manager)
	if lost.Hits() != 1 {
		t.Errorf("%d configurations were lost", lost.Hits())
	}
	for _, packet := range proxy.Packets() {
		if packet.Type == "PUBLISH" && !packet.FromClient && strings.HasSuffix(packet.Topic, "tower/config") && packet.QoS != 0 {
			t.Errorf("a configuration with QoS %d", packet.QoS)
		}
	}
}

// Start-up topics of a manager that was killed, or that never clears them, stay on the broker. They must not decide about
// the messages to the next manager.
func TestLeftoversOfAnotherManager(t *testing.T) {
	for _, test := range []struct{ before, now string }{{"B1", "B2"}, {"B1", "C"}, {"B1", "D"}, {"B2", "D"}, {"C", "D"}, {"D", "C"}, {"D", "B3"}} {
		t.Run(test.before+" before "+test.now, func(t *testing.T) {
			broker := everesttest.NewBroker(t)
			config := bellConfig(t, broker)
			config.Family = test.before
			before, err := everesttest.StartManager(patient(t), config)
			if err != nil {
				t.Fatal(err)
			}
			before.Kill()
			config.Family = test.now
			manager := everesttest.NewManager(t, config)
			for _, id := range []string{"tower", "ringer"} {
				options := manager.Options(id)
				options.Wire = ""
				if process := everesttest.RunModule(t, options, nil); everest.FamilyOf(process.Module) != test.now {
					t.Errorf("%s speaks %s", id, everest.FamilyOf(process.Module))
				}
			}
			everesttest.WaitReady(t, manager)
		})
	}
}

// The newest manager begins anew with all its modules when one has crashed, and can ask all of them to end.
func TestRecoveryAndShutdownOfNewestMain(t *testing.T) {
	config := bellConfig(t, everesttest.NewBroker(t))
	config.Family = "D"
	manager := everesttest.NewManager(t, config)
	received := make(chan int, 1)
	start := func(id string, prepare func(*everest.Module)) *everesttest.Process {
		options := manager.Options(id)
		options.ReadyReminder = everesttest.Patience
		return everesttest.RunModule(t, options, prepare)
	}
	listen := func(m *everest.Module) {
		everest.Subscribe(m.Requires("bell")[0], "last", func(_ context.Context, value string) { received <- len(value) })
	}
	tower, ringer := start("tower", nil), start("ringer", listen)
	everesttest.WaitReady(t, manager)
	if err := ringer.Stop(); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := manager.Recover(patient(t)); err != nil {
		t.Fatal(err)
	}
	ringer = start("ringer", listen)
	if err := manager.WaitGlobalReady(patient(t), 2); err != nil {
		t.Fatal(err)
	}
	if err := tower.Module.Provides("main").Publish(patient(t), "last", strings.Repeat("x", 2*everest.MaxPacketSize)); err != nil {
		t.Error(err)
	} else if size := receive(t, received); size != 2*everest.MaxPacketSize {
		t.Errorf("a value of %d bytes has arrived", size)
	}
	if err := manager.Shutdown(patient(t)); err != nil {
		t.Fatal(err)
	}
	for _, process := range []*everesttest.Process{tower, ringer} {
		if err := process.Wait(patient(t)); err != nil {
			t.Errorf("a module that the manager asks to end returns %v", err)
		}
	}
}
