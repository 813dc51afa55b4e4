package firmware

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/machine/machinetest"
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
		if h.order.over {
			ends[h.order.heard[len(h.order.heard)-1]]++
		}
		return h.comeToAnEnd()
	})
	t.Logf("ends before the limits were forced: %v", ends)
	for _, end := range strings.Fields(ocppEnds) {
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
	order   ocppOrder

	asked     int64 // request that the boards are being asked for
	signed    bool
	asking    bool
	responses map[int]Response
	replies   int // replies that callers still wait for

	id       int64 // accepted request
	idSigned bool
	reached  []map[Status]bool
	early    []map[Status]bool
	failed   bool
	earlyBad bool
	// doubtful: a failure belongs to one of two requests without id, so it may end the update or not.
	doubtful bool
	expired  bool
	split    bool
	allowed  bool
	limit    Phase
	script   []int // where each well-behaved board is in its script
	nextID   int64
}

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
	h := &history{random: random, tell: tell, boards: boards, machine: NewMachine(boards), nextID: 1}
	h.forget()
	return h
}

func (h *history) forget() {
	h.reached, h.early, h.earlyBad, h.script = nil, nil, false, make([]int, h.boards)
	for range h.boards {
		h.reached = append(h.reached, map[Status]bool{})
		h.early = append(h.early, map[Status]bool{})
	}
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
		return Responded{Board: board, Response: answer}
	case dice < 2 || (!h.asking && h.id == 0):
		id := h.nextID
		h.nextID++
		if h.random.IntN(4) == 0 {
			id = NoRequestID
		}
		return Requested{RequestID: id, Signed: id != NoRequestID && h.random.IntN(4) > 0}
	case dice < 5:
		return Allowed{}
	case dice < 6 && h.limit != 0:
		return LimitExpired{Phase: h.limit}
	case dice < 7:
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
	if h.random.IntN(40*h.boards) == 0 {
		status = DownloadFailed + Status(h.random.IntN(4))
	}
	return Reported{Board: board, RequestID: id, Status: status}
}

// step plays an event and judges the actions.
func (h *history) step(event Event) error {
	h.tell("%T%+v", event, event)
	h.observe(event)
	actions := h.machine.Step(event)
	for i, action := range actions {
		if text := actionLine(action); text != "" {
			h.tell("  %s", text)
		}
		if err := h.judge(action, actions[i+1:]); err != nil {
			return err
		}
	}
	if _, ok := event.(Requested); ok && !h.asking {
		h.replies--
	}
	if h.replies < 0 || (h.replies > 0 && !h.asking) {
		return fmt.Errorf("%d callers wait for their reply, asking: %t", h.replies, h.asking)
	}
	if h.random.IntN(50) == 0 && !h.asking {
		return h.restart()
	}
	return nil
}

// observe records an event as an observer sees it.
func (h *history) observe(event Event) {
	switch event := event.(type) {
	case Requested:
		h.replies++
		if !h.asking {
			h.asked, h.signed = event.RequestID, event.Signed
		}
	case Responded:
		if h.asking && h.responses[event.Board] == 0 {
			h.responses[event.Board] = event.Response
		}
	case Allowed:
		h.allowed = true
	case LimitExpired:
		h.expired = h.expired || (event.Phase != 0 && event.Phase == h.limit)
	case Reported:
		if event.Board < 0 || event.Board >= h.boards {
			return
		}
		ofBoth := h.asking && h.asked == h.id && event.RequestID == h.id
		if event.RequestID == h.id {
			h.reached[event.Board][event.Status] = true
			h.failed = h.failed || event.Status.IsFailure() && !ofBoth
		}
		if h.asking && event.RequestID == h.asked {
			h.early[event.Board][event.Status] = true
			h.earlyBad = h.earlyBad || event.Status.IsFailure() && !ofBoth
		}
		h.doubtful = h.doubtful || event.Status.IsFailure() && ofBoth
	}
}

func (h *history) judge(action Action, rest []Action) error {
	switch action := action.(type) {
	case Ask:
		h.asking, h.responses = true, map[int]Response{}
	case *Reply:
		return h.judgeReply(action.Response)
	case *Publish:
		if err := h.order.hear(action.RequestID, action.Status.String()); err != nil {
			return err
		}
		return h.judgeStatus(action.Status, rest)
	case *Permit:
		return h.judgePermission(action.Board)
	case *StartLimit:
		h.limit = action.Phase
	case StopLimit:
		h.limit = 0
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
	if answer != worst {
		return fmt.Errorf("replied %s, the worst response was %s", answer, worst)
	}
	h.asking = false
	if !answer.Accepts() {
		h.early, h.earlyBad = nil, false
		for range h.boards {
			h.early = append(h.early, map[Status]bool{})
		}
		return nil
	}
	h.order.answer(h.asked, h.signed, answer.String())
	early, earlyBad := h.early, h.earlyBad
	h.doubtful = h.doubtful && h.asked == h.id
	h.forget()
	h.id, h.idSigned = h.asked, h.signed
	h.failed, h.expired, h.split, h.allowed, h.limit = earlyBad, false, false, false, 0
	h.reached = early
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
		if found && h.reached[board][candidate] {
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
		if board == 0 && i > 0 && !h.reached[i][InstallRebooting] && !h.reached[i][Installed] {
			return fmt.Errorf("the main board was permitted to install before board %d had come to its reboot", i)
		}
	}
	return nil
}

// restart is the main board's reboot: what the machine has saved is all that is left of it.
func (h *history) restart() error {
	state, active := h.machine.Saved()
	h.machine = NewMachine(h.boards)
	h.tell("the main board restarts")
	if !active {
		return nil
	}
	h.limit = 0
	actions, err := h.machine.Restore(state)
	if err != nil {
		return err
	}
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
	for i := range h.boards {
		if h.asking {
			if err := h.step(Responded{Board: i, Response: ResponseRejected}); err != nil {
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
	if h.order.accepted && !h.order.over {
		return fmt.Errorf("the backend was told no end: %v", h.order.heard)
	}
	return h.step(Requested{RequestID: h.nextID + 1000, Signed: true})
}
