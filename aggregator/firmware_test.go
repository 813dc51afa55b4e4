package aggregator

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
)

// A board that the request lets wait has no limit until its time has come, and the whole limit then.
func TestScheduledUpdateHasNoLimitBeforeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logged := observer.New(zap.InfoLevel)
		s := &station{log: zap.New(core), unit: time.Second, loop: newQueue(), outbox: newQueue()}
		s.boards = []*board{{log: s.log}, {index: 1, log: s.log}}
		s.parameters.FirmwareDownloadTimeout = 600
		f := &firmwareUpdate{station: s, machine: firmware.NewMachine(2), waits: make([]*time.Timer, 2)}
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
		actions, err := f.machine.Restore(saved, false)
		if err != nil {
			t.Fatal(err)
		}
		s.loop.post(func(ctx context.Context) {
			f.perform(ctx, actions, f.caller)
			// The main board shows that it has not lost the update.
			f.step(ctx, firmware.Reported{Board: 0, RequestID: 1, Status: firmware.DownloadScheduled})
		})

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

// A board whose attempt failed has the pause that the request gives it, and some time to report its next attempt.
func TestNextAttemptIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logged := observer.New(zap.InfoLevel)
		s := &station{log: zap.New(core), unit: time.Second, loop: newQueue(), outbox: newQueue()}
		s.boards = []*board{{log: s.log}, {index: 1, log: s.log}}
		f := &firmwareUpdate{station: s, machine: firmware.NewMachine(2), waits: make([]*time.Timer, 2)}
		f.current.RetryInterval = 600
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.begin(ctx, s.loop.run)
		do := func(event firmware.Event) {
			s.loop.post(func(ctx context.Context) { f.step(ctx, event) })
			synctest.Wait()
		}
		report := func(status firmware.Status) { do(firmware.Reported{Board: 1, RequestID: 1, Status: status}) }
		f.machine.Step(firmware.Requested{RequestID: 1, Attempts: 3})
		for board := range 2 {
			f.machine.Step(firmware.Responded{Board: board, Response: firmware.ResponseAccepted})
		}

		failed := func() int { return logged.FilterField(zap.Stringer("status", firmware.DownloadFailed)).Len() }
		for range 2 {
			report(firmware.Downloading)
			report(firmware.DownloadFailed)
			time.Sleep(620 * time.Second)
			synctest.Wait()
		}
		if failed() != 0 {
			t.Error("the update failed while a board had an attempt left")
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if failed() != 2 {
			t.Errorf("%d lines about the failure of a board without a further attempt", failed())
		}
		cancel()
		s.background.Wait()
	})
}

// A board that says nothing more of its installation counts as flashed until the limit, and not longer.
func TestFlashingHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &station{log: zap.NewNop(), unit: time.Second, loop: newQueue(), outbox: newQueue()}
		s.boards = []*board{{log: s.log}, {index: 1, log: s.log}}
		s.parameters.FirmwareInstallationTimeout = 600
		f := &firmwareUpdate{station: s, machine: firmware.NewMachine(2), waits: make([]*time.Timer, 2), flashes: make([]*time.Timer, 2)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.begin(ctx, s.loop.run)
		s.loop.post(func(ctx context.Context) {
			f.step(ctx, firmware.Reported{Board: 1, RequestID: 9, Status: firmware.Installing})
		})
		for after, want := range map[time.Duration]bool{599 * time.Second: true, 601 * time.Second: false} {
			s.after(after, func(context.Context) {
				if f.machine.IsFlashing(1) != want {
					t.Errorf("after %v the board counts as flashed: %t", after, !want)
				}
			})
		}
		time.Sleep(602 * time.Second)
		cancel()
		s.background.Wait()
	})
}

// A board whose attempt has failed and whose link is away then cannot report the next one: it gets more time, until it is
// back.
func TestWaitGoesOnWhileABoardIsAway(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, nil)
	call[string](t, s.backend, "update_firmware", map[string]any{"firmware_update_request": map[string]any{
		"request_id": 7, "location": "ftp://x/", "retries": 3, "retry_interval_s": 0,
	}})
	s.boards[1].set(func(b *testBoard) { b.linked = false })
	s.boards[1].firmware(t, 7, "DownloadFailed")
	s.waitLogged(t, "waiting for another report of a board", 1)
	// The link is asked for at most twice every 5 s, and the wait is 30 s.
	asked := func() (count int) {
		s.boards[1].set(func(b *testBoard) { count = b.asked })
		return count
	}
	before := asked()
	testenv.Eventually(t, "the wait is over", func() bool { return asked() > before+25 })
	s.backend.quiet(t)
	s.boards[1].set(func(b *testBoard) { b.linked = true })
	s.backend.expect(t, "7 DownloadFailed")
}

// An installation of which no board has reported anything for 10 minutes does not keep the station from its next update.
func TestStuckInstallationIsReplaced(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, map[string]any{ownUnit: 10 * time.Millisecond})
	call[string](t, s.backend, "update_firmware", unsigned(7))
	for _, b := range s.boards {
		b.firmware(t, 7, "Installing")
	}
	s.backend.expect(t, "7 Downloading", "7 Downloaded", "7 Installing")
	testenv.Eventually(t, "a new request replaces the stuck one", func() bool {
		return call[string](t, s.backend, "update_firmware", unsigned(8)) != "Rejected"
	})
}

// TestReportAfterTheBoot: a board whose boot reason tells of an update has endGrace to report that it has fallen back to its
// old image.
func TestReportAfterTheBoot(t *testing.T) {
	for _, test := range []struct {
		after time.Duration
		want  firmware.Status
	}{
		{59 * time.Second, firmware.InstallationFailed},
		{61 * time.Second, firmware.Installed},
	} {
		synctest.Test(t, func(t *testing.T) {
			core, logged := observer.New(zap.InfoLevel)
			s := &station{log: zap.New(core), unit: time.Second, loop: newQueue(), outbox: newQueue()}
			s.boards = []*board{{log: s.log}, {index: 1, log: s.log}}
			s.parameters.FirmwareInstallationTimeout = 7200
			f := &firmwareUpdate{station: s, machine: firmware.NewMachine(2), waits: make([]*time.Timer, 2), flashes: make([]*time.Timer, 2)}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s.begin(ctx, s.loop.run)
			do := func(event firmware.Event) { s.loop.post(func(ctx context.Context) { f.step(ctx, event) }) }
			f.machine.Step(firmware.Requested{RequestID: 1})
			for board := range 2 {
				f.machine.Step(firmware.Responded{Board: board, Response: firmware.ResponseAccepted})
				do(firmware.Reported{Board: board, RequestID: 1, Status: firmware.Installing})
			}
			do(firmware.Reported{Board: 0, RequestID: 1, Status: firmware.Installed})
			do(firmware.Booted{Board: 1})
			time.Sleep(test.after)
			do(firmware.Reported{Board: 1, RequestID: 1, Status: firmware.InstallationFailed})
			synctest.Wait()
			cancel()
			s.background.Wait()
			told := logged.FilterMessage("firmware status of the station").All()
			if end := told[len(told)-1].ContextMap()["status"]; end != test.want.Name() {
				t.Errorf("the board reports its fall-back %v after its boot reason, and the update ends with %v, want %v", test.after, end, test.want)
			}
		})
	}
}

// TestBoardThatHasJustComeBack: what it has kept for the station, or its boot reason, may still be on the way when the time
// for its report has passed.
func TestBoardThatHasJustComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logged := observer.New(zap.InfoLevel)
		s := &station{log: zap.New(core), unit: time.Second, loop: newQueue(), outbox: newQueue()}
		s.boards = []*board{{log: s.log}, {index: 1, log: s.log}}
		f := &firmwareUpdate{station: s, machine: firmware.NewMachine(2), waits: make([]*time.Timer, 2)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.begin(ctx, s.loop.run)
		f.machine.Step(firmware.Requested{RequestID: 1})
		for board := range 2 {
			f.machine.Step(firmware.Responded{Board: board, Response: firmware.ResponseAccepted})
		}
		s.loop.post(func(ctx context.Context) {
			f.step(ctx, firmware.Reported{Board: 1, RequestID: 1, Status: firmware.DownloadFailed})
		})
		// The wait is attemptGrace.
		time.Sleep(25 * time.Second)
		s.loop.post(func(context.Context) { s.boards[1].awayAt = time.Now() })
		for after, want := range map[time.Duration]int{29 * time.Second: 0, 31 * time.Second: 1} {
			s.after(after, func(context.Context) {
				if failed := logged.FilterMessage("firmware status of the station").Len(); failed != want {
					t.Errorf("%v after the board is back, the backend has %d statuses, want %d", after, failed, want)
				}
			})
		}
		time.Sleep(32 * time.Second)
		cancel()
		s.background.Wait()
	})
}

// TestRequestIsSavedBeforeItsAnswer: a power cut after the answer must not lose the update.
func TestRequestIsSavedBeforeItsAnswer(t *testing.T) {
	s := &station{log: zap.NewNop(), unit: time.Second, loop: newQueue(), outbox: newQueue()}
	s.boards = []*board{{log: s.log}}
	f := &firmwareUpdate{
		station: s, machine: firmware.NewMachine(1), waits: make([]*time.Timer, 1), flashes: make([]*time.Timer, 1),
		state: &stateFile{filepath.Join(t.TempDir(), "state.json")}, caller: newCaller[firmware.Response](t.Context()),
	}
	f.request.Times.RetryInterval = 77
	f.machine.Step(firmware.Requested{RequestID: 7})
	f.step(t.Context(), firmware.Responded{Response: firmware.ResponseAccepted})
	t.Cleanup(f.stopLimit)
	select {
	case <-f.caller.reply:
		t.Fatal("the backend has an answer before anything is saved")
	default:
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.begin(ctx, s.outbox.run)
	if answer := <-f.caller.reply; answer != firmware.ResponseAccepted {
		t.Errorf("the answer is %v", answer)
	}
	var saved savedFirmware
	if found, err := f.state.load(&saved); !found || err != nil || saved.RequestID != 7 || saved.Over || saved.RetryInterval != 77 {
		t.Errorf("with the answer %+v is saved: %t %v", saved, found, err)
	}
	cancel()
	s.background.Wait()
}

// TestSavedStatusIsTold: a status that was saved, and not told before a power cut, is told after it.
func TestSavedStatusIsTold(t *testing.T) {
	s := &station{log: zap.NewNop(), unit: time.Second, loop: newQueue(), outbox: newQueue()}
	s.boards = []*board{{log: s.log}}
	f := &firmwareUpdate{
		station: s, machine: firmware.NewMachine(1), waits: make([]*time.Timer, 1), flashes: make([]*time.Timer, 1),
		state: &stateFile{filepath.Join(t.TempDir(), "state.json")},
	}
	t.Cleanup(f.stopLimit)
	f.machine.Step(firmware.Requested{RequestID: 7})
	f.machine.Step(firmware.Responded{Response: firmware.ResponseAccepted})
	f.step(t.Context(), firmware.Reported{RequestID: 7, Status: firmware.Downloading})
	// The outbox saves, tells and saves again. The power is cut after the first, and after all of it.
	for _, sent := range []int{0, 2} {
		s.outbox.waiting[sent](t.Context())
		var saved savedFirmware
		if found, err := f.state.load(&saved); !found || err != nil {
			t.Fatal(found, err)
		}
		actions, err := firmware.NewMachine(1).Restore(saved.Saved, false)
		if err != nil {
			t.Fatal(err)
		}
		if told := slices.ContainsFunc(actions, publishes); told != (sent == 0) {
			t.Errorf("a power cut after step %d: Downloading is told again: %t", sent, told)
		}
	}
}
