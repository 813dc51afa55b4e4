package aggregator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
)

// A board that the request lets wait has no limit until its time has come, and the whole limit then.
func TestScheduledUpdateHasNoLimitBeforeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logged := observer.New(zap.InfoLevel)
		s := &station{log: zap.New(core), unit: time.Second, loop: newQueue(), outbox: newQueue()}
		s.boards = []*board{{log: s.log}, {index: 1, log: s.log}}
		s.parameters.FirmwareDownloadTimeout = 600
		f := &firmwareUpdate{station: s, machine: firmware.NewMachine(2)}
		f.current.Retrieve = time.Now().Add(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.begin(ctx, s.loop.run)

		waiting := firmware.NewMachine(2)
		waiting.Step(firmware.Requested{RequestID: 1})
		for board := range 2 {
			waiting.Step(firmware.Responded{Board: board, Response: firmware.ResponseAccepted})
			waiting.Step(firmware.Reported{Board: board, RequestID: 1, Status: firmware.DownloadScheduled})
		}
		saved, _ := waiting.Saved()
		actions, err := f.machine.Restore(saved)
		if err != nil {
			t.Fatal(err)
		}
		s.loop.post(func(ctx context.Context) { f.perform(ctx, actions, f.caller) })

		failed := func() int { return logged.FilterField(zap.Stringer("status", firmware.DownloadFailed)).Len() }
		time.Sleep(time.Hour + 599*time.Second)
		synctest.Wait()
		if failed() != 0 {
			t.Error("the update failed before its limit")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if failed() != 1 {
			t.Error("the update did not fail at its limit")
		}
		cancel()
		s.background.Wait()
	})
}
