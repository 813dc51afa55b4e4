package firmware

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/machine/machinetest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
)

func TestMachineKeepsOCPPsOrder(t *testing.T) {
	ends := map[string]int{}
	machinetest.Histories(t, func(random *rand.Rand, tell func(string, ...any)) error {
		h := newHistory(random, tell)
		for range 20 + random.IntN(25*h.boards) {
			if err := h.step(h.event()); err != nil {
				return err
			}
		}
		if h.order.Over {
			ends[h.order.Heard[len(h.order.Heard)-1]]++
		}
		return h.comeToAnEnd()
	})
	t.Logf("ends before the limits were forced: %v", ends)
	for _, end := range strings.Fields(ocppframes.UpdateEnds) {
		if machinetest.Enough() && ends[end] == 0 {
			t.Errorf("no history came to %s: the histories do not test what they should", end)
		}
	}
}

// history is a random story of a station, with what an observer beside the machine knows of it.
type history struct {
	random  *rand.Rand
	tell    func(string, ...any)
	boards  int
	machine *Machine
	disk    disk
	order   ocppframes.UpdateOrder

	asked     int64 // request that the boards are being asked for
	signed    bool
	asking    bool
	responses map[int]Response
	replies   int   // replies that callers still wait for
	latest    int64 // request id of the latest call

	id       int64 // accepted request
	idSigned bool
	attempts int
	asks     int // attempts of the request that the boards are being asked for
	seen     []seenBoard
	early    []seenBoard
	failed   bool
	// doubtful: a failure belongs to one of two requests without id, so it may end the update or not.
	doubtful bool
	expired  bool
	split    bool
	allowed  bool
	limit    Phase
	flashing []bool
	flashID  []int64
	script   []int // where each well-behaved board is in its script
	nextID   int64
	ending   bool // no restart any more
}

// seenBoard is what an observer sees of one board's part in a request.
type seenBoard struct {
	reached map[Status]bool
	// fails counts the attempts that failed. failing: the last one has, and the next one has not begun.
	fails   int
	failing bool
	last    Status
	// failed: there is no attempt left, or none was begun in time.
	failed bool
	// perhaps: Installed came when it could belong to one of two requests without id.
	perhaps bool
	// awaited is what the machine gives the board time for.
	awaited Awaited
	// booted: the board's boot reason tells of an update, of which it does not tell always.
	booted, oldBootReason bool
}

// observeFlashing records which boards may be in the middle of their installation.
func (h *history) observeFlashing(event Event) {
	switch event := event.(type) {
	case Reported:
		if event.Board >= 0 && event.Board < h.boards {
			switch {
			case event.Status == Installing, event.Status == InstallRebooting:
				h.flashing[event.Board], h.flashID[event.Board] = true, event.RequestID
			case event.Status == Idle, h.flashID[event.Board] == event.RequestID:
				h.flashing[event.Board] = false
			}
		}
	case Booted:
		h.flashing[event.Board] = false
	case WaitEnded:
		h.flashing[event.Board] = false
	case FlashLimitExpired:
		h.flashing[event.Board] = false
	}
}

func newSeenBoards(boards int) (seen []seenBoard) {
	for range boards {
		seen = append(seen, seenBoard{reached: map[Status]bool{}})
	}
	return seen
}

func (b *seenBoard) hear(status Status, attempts int) {
	b.reached[status] = true
	if status.IsFailure() {
		b.last = status
	}
	switch {
	case !status.IsFailure():
		b.failing = b.failing && status == Idle
		b.booted = b.booted && (status == Idle || status == Installed)
		return
	case !b.failing:
		b.failing = true
		b.fails++
	}
	final := status != DownloadFailed && status != InstallationFailed
	b.failed = b.failed || final || b.booted || b.reached[Installed] && !b.perhaps || attempts > 0 && b.fails >= attempts
}

func anyBoard(seen []seenBoard, is func(seenBoard) bool) bool { return slices.ContainsFunc(seen, is) }

func hasFailed(b seenBoard) bool { return b.failed }

// goodUpdate is what a board reports when all goes well.
var goodUpdate = []Status{
	DownloadScheduled, Downloading, DownloadPaused, Downloading, Downloaded,
	SignatureVerified, InstallScheduled, InstallRebooting, Installing,
	InstallRebooting, Installed,
}

func newHistory(random *rand.Rand, tell func(string, ...any)) *history {
	boards := 2 + random.IntN(3)
	if random.IntN(10) == 0 {
		boards = 2 + random.IntN(63)
	}
	tell("station of %d boards", boards)
	h := &history{random: random, tell: tell, boards: boards, machine: NewMachine(boards), nextID: 1, flashing: make([]bool, boards), flashID: make([]int64, boards)}
	h.forget()
	return h
}

func (h *history) forget() {
	h.seen, h.early, h.script = newSeenBoards(h.boards), newSeenBoards(h.boards), make([]int, h.boards)
}

// event is mostly what a station would do, and sometimes anything at all.
func (h *history) event() Event {
	board := h.random.IntN(h.boards)
	switch dice := h.random.IntN(100); {
	case h.asking && dice < 60:
		answer := ResponseAccepted
		if h.random.IntN(3*h.boards) == 0 {
			answer = Response(1 + h.random.IntN(int(ResponseRevokedCertificate)))
		}
		return Responded{Board: board, Response: answer, OldBootReason: h.random.IntN(5) == 0}
	case dice < 2 || (!h.asking && h.id == 0):
		id := h.nextID
		h.nextID++
		if h.random.IntN(4) == 0 {
			id = NoRequestID
		}
		return Requested{RequestID: id, Signed: id != NoRequestID && h.random.IntN(4) > 0, Attempts: h.random.IntN(4), Silent: h.random.IntN(3) == 0}
	case dice < 5:
		return Allowed{}
	case dice < 6 && h.limit != 0:
		return LimitExpired{Phase: h.limit}
	case dice < 7 && h.seen[board].awaited != 0:
		return WaitEnded{Board: board}
	case dice < 8 && h.random.IntN(4*h.boards) == 0:
		return Booted{Board: board}
	case dice < 9 && h.random.IntN(2) == 0:
		if h.random.IntN(2) == 0 {
			return Back{Board: board}
		}
		return Away{Board: board}
	case dice < 9 && h.random.IntN(h.boards) == 0:
		return FlashLimitExpired{Board: board}
	case dice < 9:
		return Restarted{Board: board}
	case dice < 10:
		return LimitExpired{Phase: Phase(h.random.IntN(5))}
	case dice < 12:
		return Reported{Board: h.random.IntN(h.boards+2) - 1, RequestID: h.nextID - 3 + h.random.Int64N(4),
			Status: Status(1 + h.random.IntN(int(InstallationFailed))),
		}
	}
	id := h.id
	if h.asking && h.random.IntN(2) == 0 {
		id = h.asked
	}
	place := min(h.script[board], len(goodUpdate)-1)
	h.script[board] = place + h.random.IntN(3)
	status := goodUpdate[place]
	if h.random.IntN(20*h.boards) == 0 {
		status = []Status{DownloadFailed, InvalidSignature, InstallVerificationFailed, InstallationFailed}[h.random.IntN(4)]
	}
	return Reported{Board: board, RequestID: id, Status: status}
}

// step plays an event and judges the actions.
func (h *history) step(event Event) error {
	h.tell("%T%+v", event, event)
	h.observe(event)
	h.observeFlashing(event)
	actions := h.machine.Step(event)
	h.disk.follow(h.machine, actions)
	for i, action := range actions {
		if text := actionLine(action); text != "" {
			h.tell("  %s", text)
		}
		if err := h.judge(action, actions[i+1:]); err != nil {
			return err
		}
	}
	for board, flashing := range h.flashing {
		if flashing && !h.machine.IsFlashing(board) {
			return fmt.Errorf("board %d may be reset while it is being flashed", board)
		}
	}
	if _, ok := event.(Requested); ok && !h.asking {
		h.replies--
	}
	if h.replies < 0 || (h.replies > 0 && !h.asking) {
		return fmt.Errorf("%d callers wait for their reply, asking: %t", h.replies, h.asking)
	}
	if h.random.IntN(50) == 0 && !h.ending {
		return h.restart()
	}
	return nil
}

// observe records an event as an observer sees it.
func (h *history) observe(event Event) {
	switch event := event.(type) {
	case Requested:
		h.replies++
		h.latest = event.RequestID
		if !h.asking {
			h.asked, h.signed, h.asks = event.RequestID, event.Signed, event.Attempts
		}
	case Responded:
		if h.asking && h.responses[event.Board] == 0 {
			h.responses[event.Board] = event.Response
			h.early[event.Board].oldBootReason = event.OldBootReason || h.flashing[event.Board]
		}
	case Allowed:
		h.allowed = true
	case LimitExpired:
		h.expired = h.expired || (event.Phase != 0 && event.Phase == h.limit)
	case WaitEnded:
		board := &h.seen[event.Board]
		h.failed = h.failed || board.failing || board.awaited == AwaitedSign
		if board.awaited == AwaitedEnd {
			board.reached[Installed] = true
		}
		board.awaited = 0
	case Away:
		h.seen[event.Board].fails = 0
	case Booted:
		if board := &h.seen[event.Board]; !board.oldBootReason && !board.reached[Installed] && !(board.failing && board.last == InstallationFailed) {
			board.booted, board.failing = true, false
		}
	case Reported:
		if event.Board < 0 || event.Board >= h.boards {
			return
		}
		ofBoth := h.asking && h.asked == h.id && event.RequestID == h.id
		if ofBoth && event.Status.IsFailure() {
			h.doubtful = true
			return
		}
		if event.RequestID == h.id {
			h.seen[event.Board].hear(event.Status, h.attempts)
			h.failed = h.failed || h.seen[event.Board].failed
			h.doubtful = h.doubtful || h.seen[event.Board].perhaps && event.Status.IsFailure()
		}
		switch event.Status {
		case Installing, InstallRebooting, Installed:
			if event.RequestID != h.id && !(h.asking && event.RequestID == h.asked) {
				board := &h.seen[event.Board]
				board.oldBootReason, board.booted = true, false
				board.failed = board.failed || event.Status == Installed && board.reached[Installed]
				h.failed = h.failed || board.failed
			}
		}
		if h.asking && event.RequestID == h.asked {
			if event.Status == Installed {
				h.early[event.Board].perhaps = ofBoth && !h.responses[event.Board].Accepts()
			}
			h.early[event.Board].hear(event.Status, h.asks)
		}
	}
}

func (h *history) judge(action Action, rest []Action) error {
	switch action := action.(type) {
	case Ask:
		h.asking, h.responses = true, map[int]Response{}
	case *Reply:
		return h.judgeReply(action.Response)
	case *Publish:
		if h.order.Refused && action.RequestID == NoRequestID && action.Status == DownloadFailed {
			return h.order.Hear(action.RequestID, action.Status.String())
		}
		if err := h.order.Hear(action.RequestID, action.Status.String()); err != nil {
			return err
		}
		return h.judgeStatus(action.Status, rest)
	case *Permit:
		return h.judgePermission(action.Board)
	case *StartLimit:
		h.limit = action.Phase
	case StopLimit:
		h.limit = 0
	case *Wait:
		h.seen[action.Board].awaited = action.For
	case *StopWait:
		h.seen[action.Board].awaited = 0
	case StopWaits:
		for i := range h.seen {
			h.seen[i].awaited = 0
		}
	}
	return nil
}

func (h *history) judgeReply(answer Response) error {
	h.replies--
	if !h.asking || len(h.responses) < h.boards {
		// Only a request that cannot be asked for is answered without the boards.
		if answer != ResponseRejected {
			return fmt.Errorf("replied %s without the boards' responses", answer)
		}
		if h.asked != h.latest || !h.asking {
			h.order.Answer(h.latest, false, answer.String())
		}
		if !h.asking {
			h.replies++ // step counts the request of this very event
		}
		return nil
	}
	worst := ResponseAccepted
	for _, given := range h.responses {
		worst = max(worst, given)
		h.split = h.split || given.Accepts()
	}
	if worst.Accepts() {
		worst = ResponseAccepted
		if h.order.Accepted && !h.order.Over {
			worst = ResponseAcceptedCanceled
		}
	}
	if answer != worst {
		return fmt.Errorf("replied %s, not %s", answer, worst)
	}
	h.asking = false
	if !answer.Accepts() {
		h.order.Answer(h.asked, h.signed, answer.String())
		h.early = newSeenBoards(h.boards)
		return nil
	}
	h.order.Answer(h.asked, h.signed, answer.String())
	early := h.early
	h.doubtful = h.doubtful && h.asked == h.id
	h.forget()
	h.id, h.idSigned = h.asked, h.signed
	h.failed, h.expired, h.split, h.allowed, h.limit = anyBoard(early, hasFailed), false, false, false, 0
	h.seen, h.attempts = early, h.asks
	return nil
}

// atLeast reports whether a board has reported the status or a later one in OCPP's order.
func (h *history) atLeast(board int, status Status) bool {
	order := []Status{
		DownloadScheduled, Downloading, DownloadPaused, Downloaded,
		SignatureVerified, InstallScheduled, InstallRebooting, Installing, Installed,
	}
	found := false
	for _, candidate := range order {
		found = found || candidate == status || (!h.idSigned && status == Downloaded && candidate == SignatureVerified)
		if found && h.seen[board].reached[candidate] {
			return true
		}
	}
	return false
}

func (h *history) judgeStatus(status Status, rest []Action) error {
	if status.IsFailure() {
		if !h.failed && !h.doubtful && !h.expired && !h.split {
			return fmt.Errorf("%s, but no board failed, none was silent", status)
		}
		return nil
	}
	for _, action := range rest {
		if publish, ok := action.(*Publish); ok && publish.Status.IsFailure() {
			return nil // a mandatory status before the failure
		}
	}
	for board := range h.boards {
		if !h.atLeast(board, status) {
			return fmt.Errorf("%s, but board %d has not come so far", status, board)
		}
	}
	return nil
}

func (h *history) judgePermission(board int) error {
	if anyBoard(h.seen, func(b seenBoard) bool { return b.failing }) {
		return fmt.Errorf("board %d was permitted to install while a board that failed may try again", board)
	}
	if !h.allowed || h.failed || h.expired {
		return fmt.Errorf("board %d was permitted to install: allowed %t, failed %t, silent %t", board, h.allowed, h.failed, h.expired)
	}
	ready := Downloaded
	if h.idSigned {
		ready = SignatureVerified
	}
	for i := range h.boards {
		if !h.atLeast(i, ready) {
			return fmt.Errorf("board %d was permitted to install before board %d was ready", board, i)
		}
		if board == 0 && i > 0 && !h.seen[i].reached[InstallRebooting] && !h.seen[i].reached[Installed] {
			return fmt.Errorf("the main board was permitted to install before board %d had come to its reboot", i)
		}
	}
	return nil
}

// restart is the main board's reboot, or a restart of the module alone: what the machine has saved is all that is left of it.
func (h *history) restart() error {
	state, active, err := h.disk.read()
	if err != nil {
		return err
	}
	h.machine = NewMachine(h.boards)
	alone := h.random.IntN(4) == 0
	h.tell("restart, alone: %t", alone)
	h.flashing[0] = h.flashing[0] && alone
	h.order.Restarted = true
	if h.asking {
		h.asking, h.replies, h.split, h.early = false, 0, true, newSeenBoards(h.boards)
	}
	if !active {
		return nil
	}
	h.limit = 0
	for i := range h.seen {
		h.seen[i].awaited, h.seen[i].fails = 0, 0
	}
	actions, err := h.machine.Restore(state, alone)
	if err != nil {
		return err
	}
	h.disk.follow(h.machine, actions)
	for i, action := range actions {
		h.tell("  %s", actionLine(action))
		if err := h.judge(action, actions[i+1:]); err != nil {
			return err
		}
	}
	return nil
}

// comeToAnEnd: whatever has happened, the limits and a permission bring the update to an end state, and the next one
// can be asked for.
func (h *history) comeToAnEnd() error {
	h.ending = true
	for i := range h.boards {
		if h.asking {
			if err := h.step(Responded{Board: i, Response: ResponseRejected}); err != nil {
				return err
			}
		}
	}
	for board := range h.boards {
		if h.seen[board].awaited != 0 {
			if err := h.step(WaitEnded{Board: board}); err != nil {
				return err
			}
		}
	}
	for range 8 {
		id, active := h.machine.Active()
		if !active {
			break
		}
		if h.limit == 0 {
			if err := h.step(Allowed{}); err != nil {
				return err
			}
		}
		if h.limit == 0 && h.id == id {
			if _, active := h.machine.Active(); active {
				return fmt.Errorf("the update waits without a limit after the permission")
			}
		}
		if err := h.step(LimitExpired{Phase: h.limit}); err != nil {
			return err
		}
	}
	if _, active := h.machine.Active(); active {
		return fmt.Errorf("the update has no end")
	}
	if h.order.Accepted && !h.order.Over {
		return fmt.Errorf("the backend was told no end: %v", h.order.Heard)
	}
	if err := h.step(Requested{RequestID: h.nextID + 1000, Signed: true, Silent: true}); err != nil {
		return err
	}
	if !h.asking {
		return fmt.Errorf("the next request is not put to the boards")
	}
	return nil
}
