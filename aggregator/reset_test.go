package aggregator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

func (s *testStation) resetAllowed(t testing.TB) bool {
	t.Helper()
	return call[bool](t, s.backend, "is_reset_allowed", map[string]any{"type": "Hard"})
}

func (s *testStation) reset(t testing.TB) {
	t.Helper()
	call[any](t, s.backend, "reset", map[string]any{"type": "Hard", "scheduled": true})
}

// expectReset waits until a board is asked whether it may be reset, and then reset.
func (b *testBoard) expectReset(t testing.TB) {
	t.Helper()
	b.wasCalled(t, "is_reset_allowed")
	b.wasCalled(t, "reset")
}

func TestResetTellsTheMainBoardLast(t *testing.T) {
	t.Parallel()
	s := newStation(t, 3, nil)
	s.reset(t)
	s.boards[1].expectReset(t)
	s.boards[2].expectReset(t)
	s.boards[0].wasNotCalled(t)
	s.boards[0].wasCalled(t, "reset")
}

// TestResetWithoutABoard: the operator's first remedy works exactly when a satellite has crashed. That one is not reset,
// also not when it is back.
func TestResetWithoutABoard(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		leave  func(*testBoard)
		reason string
	}{
		"away":   {func(b *testBoard) { b.set(func(b *testBoard) { b.linked, b.yes = false, false }) }, "it is away"},
		"silent": {func(b *testBoard) { b.beSilent() }, "it does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, 3, nil)
			test.leave(s.boards[1])
			if !s.resetAllowed(t) {
				t.Fatal("no reset is allowed")
			}
			s.boards[2].wasCalled(t, "is_reset_allowed")
			s.boards[0].wasCalled(t, "is_reset_allowed")
			s.reset(t)
			s.boards[2].expectReset(t)
			s.boards[0].wasCalled(t, "reset")
			if line := s.waitLogged(t, "a board is not reset", 1)[0].ContextMap(); line["board"] != "1_board1" || line["reason"] != test.reason {
				t.Errorf("the line is of another board or reason: %v", line)
			}
			for len(s.boards[1].called) > 0 {
				if command := <-s.boards[1].called; command != "is_reset_allowed" {
					t.Errorf("the board that is not there was called %s", command)
				}
			}
		})
	}
}

func TestResetThatABoardForbids(t *testing.T) {
	t.Parallel()
	s := newStation(t, 3, nil)
	s.boards[1].set(func(b *testBoard) { b.yes = false })
	if s.resetAllowed(t) {
		t.Error("a board that answers says no, the station yes")
	}
}

// TestNoResetOfABoardThatIsFlashed: neither by the station's reset nor by one alone.
func TestNoResetOfABoardThatIsFlashed(t *testing.T) {
	t.Parallel()
	s, client := controlledStation(t, 3)
	call[string](t, s.backend, "update_firmware", unsigned(7))
	for _, b := range s.boards {
		b.wasCalled(t, "update_firmware")
	}
	s.boards[1].firmware(t, 7, "Installing")
	waitStatus(t, client, func(status *control.Status) bool { return status.Station.Boards[1].Flashing })
	if s.resetAllowed(t) {
		t.Error("a reset is allowed while a board is being flashed")
	}
	var refused *control.AnswerError
	if _, err := client.Reset(t.Context(), "1", false); !errors.As(err, &refused) || !strings.Contains(refused.Text, "installs firmware") {
		t.Errorf("the reset of the board alone: %v", err)
	}
	// Allowed before, asked for now: it waits for the end.
	s.reset(t)
	s.waitLogged(t, "the reset waits", 1)
	for _, b := range s.boards {
		b.wasNotCalled(t)
	}
	s.boards[1].firmware(t, 7, "Installed")
	s.boards[1].expectReset(t)
	s.boards[2].expectReset(t)
	s.boards[0].wasCalled(t, "reset")
}

func TestResetOfOneBoard(t *testing.T) {
	t.Parallel()
	s, client := controlledStation(t, 3)
	for _, name := range []string{"2", "2_board2", "board2"} {
		if board, err := client.Reset(t.Context(), name, true); err != nil || board != "2_board2" {
			t.Errorf("%q, %v", board, err)
		}
		s.boards[2].expectReset(t)
	}
	s.boards[1].set(func(b *testBoard) { b.linked = false })
	s.boards[2].set(func(b *testBoard) { b.yes = false })
	for name, want := range map[string]struct {
		text  string
		never bool
	}{
		"0": {"the main board", true}, "7": {"no board", true}, "": {"no board", true}, "1": {"is away", false}, "2": {"does not allow", false},
	} {
		_, err := client.Reset(t.Context(), name, false)
		var refused *control.AnswerError
		if !errors.As(err, &refused) || !strings.Contains(refused.Text, want.text) || errors.Is(err, control.ErrUnsupported) != want.never {
			t.Errorf("%q: %v", name, err)
		}
	}
	s.boards[1].wasNotCalled(t)
	s.boards[0].wasNotCalled(t)
}

// TestBoardThatChangesWhileItIsAsked: one that goes away says no by its controller, which forbids nothing; one that begins
// to install after the first look is not reset.
func TestBoardThatChangesWhileItIsAsked(t *testing.T) {
	t.Parallel()
	s, client := controlledStation(t, 3)
	s.boards[1].set(func(b *testBoard) {
		b.question = func() { b.set(func(b *testBoard) { b.linked, b.yes = false, false }) }
	})
	if !s.resetAllowed(t) {
		t.Error("no reset is allowed because a board has gone away")
	}
	s.boards[2].set(func(b *testBoard) {
		b.question = func() {
			b.firmware(t, 7, "Installing")
			s.waitLogged(t, "a board's firmware status", 1)
		}
	})
	s.boards[2].wasCalled(t, "is_reset_allowed")
	if board, err := client.Reset(t.Context(), "2", false); err == nil {
		t.Errorf("%s is reset in the middle of its installation", board)
	}
	s.boards[2].wasCalled(t, "is_reset_allowed")
	s.boards[2].wasNotCalled(t)
}

// TestSilentBoardHoldsUpNoReset: OCPP handles nothing else of the backend until it has the answer.
func TestSilentBoardHoldsUpNoReset(t *testing.T) {
	t.Parallel()
	s := newStation(t, 3, map[string]any{ownUnit: time.Second})
	s.boards[1].beSilent()
	asked := time.Now()
	if !s.resetAllowed(t) {
		t.Error("no reset is allowed")
	}
	// This machine may be busy.
	if took := time.Since(asked); took > maxQuestionTime+15*time.Second {
		t.Errorf("the answer took %v", took)
	}
}

// TestAggregatorThatRestartsAlone: the main board installs what the station has given up, and goes on when the aggregator's
// process is started again. With the whole EVerest its System has restarted, and installs nothing.
func TestAggregatorThatRestartsAlone(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, map[string]any{spawnedBy: "first run"})
	if answer := call[string](t, s.backend, "update_firmware", unsigned(7)); answer != "Accepted" {
		t.Fatal(answer)
	}
	s.boards[0].firmware(t, 7, "Installing")
	s.waitLogged(t, "a board's firmware status", 1)
	s.boards[1].firmware(t, 7, "DownloadFailed")
	s.backend.expect(t, "7 DownloadFailed")
	s.restartMainBoard(t)
	if s.resetAllowed(t) {
		t.Error("a reset is allowed while the main board installs")
	}
	s.spawnedBy = "second run"
	s.restartMainBoard(t)
	if !s.resetAllowed(t) {
		t.Error("no reset is allowed after the main board has restarted")
	}
}
