package aggregator

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var (
	histories    = flag.Int("aggregator.histories", 3000, "random histories of the property tests; CI plays 100000")
	historiesRun = flag.Uint64("aggregator.seed", 0, "seed of the property tests; 0 takes a new one and prints it")
)

// playHistories plays histories of different lengths and stations, each from its own seed, and reports the seed and the
// story of one that fails. A story is told only the second time, so that a good history costs nothing.
func playHistories(t *testing.T, play func(random *rand.Rand, tell func(string, ...any)) error) {
	t.Helper()
	seed := *historiesRun
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%d histories from -aggregator.seed=%d", *histories, seed)
	for i := range *histories {
		random := func() *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(i))) }
		if play(random(), func(string, ...any) {}) == nil {
			continue
		}
		var story strings.Builder
		err := play(random(), func(format string, arguments ...any) { fmt.Fprintf(&story, format+"\n", arguments...) })
		t.Fatalf("seed %d, history %d: %v\n%s", seed, i, err, story.String())
	}
}

func TestFirmwareMergeKeepsOCPPsOrder(t *testing.T) {
	ends := map[string]int{}
	playHistories(t, func(random *rand.Rand, tell func(string, ...any)) error {
		h := newFirmwareHistory(random, tell)
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
		if *histories >= 1000 && ends[end] == 0 {
			t.Errorf("no history came to %s: the histories do not test what they should", end)
		}
	}
}

// firmwareHistory is a random story of a station, with what an observer beside the merge knows of it.
type firmwareHistory struct {
	random *rand.Rand
	tell   func(string, ...any)
	boards int
	merge  *FirmwareMerge
	order  ocppOrder

	asked   int64 // request that the boards are being asked for
	signed  bool
	asking  bool
	answers map[int]FirmwareAnswer
	replies int // replies that callers still wait for

	id       int64 // accepted request
	idSigned bool
	reached  []map[FirmwareStatus]bool
	early    []map[FirmwareStatus]bool
	failed   bool
	earlyBad bool
	// whose is a failure of one of two requests without id: nobody can tell, so it may end the update or not.
	doubtful bool
	expired  bool
	split    bool
	allowed  bool
	limit    FirmwarePhase
	script   []int // where each well-behaved board is in its script
	nextID   int64
}

// goodUpdate is what a board reports when all goes well.
var goodUpdate = []FirmwareStatus{
	FirmwareDownloadScheduled, FirmwareDownloading, FirmwareDownloadPaused, FirmwareDownloading, FirmwareDownloaded,
	FirmwareSignatureVerified, FirmwareInstallScheduled, FirmwareInstallRebooting, FirmwareInstalling,
	FirmwareInstallRebooting, FirmwareInstalled,
}

func newFirmwareHistory(random *rand.Rand, tell func(string, ...any)) *firmwareHistory {
	boards := 2 + random.IntN(3)
	if random.IntN(10) == 0 {
		boards = 2 + random.IntN(63)
	}
	tell("station of %d boards", boards)
	h := &firmwareHistory{random: random, tell: tell, boards: boards, merge: NewFirmwareMerge(boards), nextID: 1}
	h.forget()
	return h
}

func (h *firmwareHistory) forget() {
	h.reached, h.early, h.earlyBad, h.script = nil, nil, false, make([]int, h.boards)
	for range h.boards {
		h.reached = append(h.reached, map[FirmwareStatus]bool{})
		h.early = append(h.early, map[FirmwareStatus]bool{})
	}
}

// event is mostly what a station would do, and sometimes anything at all.
func (h *firmwareHistory) event() FirmwareEvent {
	board := h.random.IntN(h.boards)
	switch dice := h.random.IntN(100); {
	case h.asking && dice < 60:
		answer := UpdateAccepted
		if h.random.IntN(3*h.boards) == 0 {
			answer = FirmwareAnswer(1 + h.random.IntN(int(UpdateRevokedCertificate)))
		}
		return FirmwareEvent{Kind: FirmwareAnswered, Board: board, Answer: answer}
	case dice < 2 || (!h.asking && h.id == 0):
		id := h.nextID
		h.nextID++
		if h.random.IntN(4) == 0 {
			id = NoRequestID
		}
		return FirmwareEvent{Kind: FirmwareRequested, RequestID: id, Signed: id != NoRequestID && h.random.IntN(4) > 0}
	case dice < 5:
		return FirmwareEvent{Kind: FirmwareAllowed}
	case dice < 6 && h.limit != 0:
		return FirmwareEvent{Kind: FirmwareTimeUp, Phase: h.limit}
	case dice < 7:
		return FirmwareEvent{Kind: FirmwareTimeUp, Phase: FirmwarePhase(h.random.IntN(5))}
	case dice < 12:
		return FirmwareEvent{
			Kind: FirmwareReported, Board: h.random.IntN(h.boards+2) - 1, RequestID: h.nextID - 3 + h.random.Int64N(4),
			Status: FirmwareStatus(1 + h.random.IntN(int(FirmwareInstallationFailed))),
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
		status = FirmwareDownloadFailed + FirmwareStatus(h.random.IntN(4))
	}
	return FirmwareEvent{Kind: FirmwareReported, Board: board, RequestID: id, Status: status}
}

// step plays an event and judges what the merge makes of it.
func (h *firmwareHistory) step(event FirmwareEvent) error {
	h.tell("%+v", event)
	h.observe(event)
	actions := h.merge.Step(event)
	for i, action := range actions {
		if text := firmwareActionLine(action); text != "" {
			h.tell("  %s", text)
		}
		if err := h.judge(action, actions[i+1:]); err != nil {
			return err
		}
	}
	if event.Kind == FirmwareRequested && !h.asking {
		h.replies--
	}
	if h.replies < 0 || (h.replies > 0 && !h.asking) {
		return fmt.Errorf("%d callers wait for their answer, asking: %t", h.replies, h.asking)
	}
	if h.random.IntN(50) == 0 && !h.asking {
		return h.restart()
	}
	return nil
}

// observe notes what the observer sees of an event.
func (h *firmwareHistory) observe(event FirmwareEvent) {
	switch event.Kind {
	case FirmwareRequested:
		h.replies++
		if !h.asking {
			h.asked, h.signed = event.RequestID, event.Signed
		}
	case FirmwareAnswered:
		if h.asking && h.answers[event.Board] == 0 {
			h.answers[event.Board] = event.Answer
		}
	case FirmwareAllowed:
		h.allowed = true
	case FirmwareTimeUp:
		h.expired = h.expired || (event.Phase != 0 && event.Phase == h.limit)
	case FirmwareReported:
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

func (h *firmwareHistory) judge(action FirmwareAction, rest []FirmwareAction) error {
	switch action.Kind {
	case FirmwareAsk:
		h.asking, h.answers = true, map[int]FirmwareAnswer{}
	case FirmwareReply:
		return h.judgeReply(action.Answer)
	case FirmwarePublish:
		if err := h.order.hear(action.RequestID, action.Status.String()); err != nil {
			return err
		}
		return h.judgeStatus(action.Status, rest)
	case FirmwareAllow:
		return h.judgePermission(action.Board)
	case FirmwareLimit:
		h.limit = action.Phase
	case FirmwareUnlimited:
		h.limit = 0
	}
	return nil
}

func (h *firmwareHistory) judgeReply(answer FirmwareAnswer) error {
	h.replies--
	if !h.asking || len(h.answers) < h.boards {
		// Only a request that cannot be asked for is answered without the boards.
		if answer != UpdateRejected {
			return fmt.Errorf("answered %s without the boards' answers", answer)
		}
		if !h.asking {
			h.replies++ // step counts the request of this very event
		}
		return nil
	}
	worst := UpdateAccepted
	for _, given := range h.answers {
		worst = max(worst, given)
		h.split = h.split || given.Accepts()
	}
	if answer != worst {
		return fmt.Errorf("answered %s, the worst answer was %s", answer, worst)
	}
	h.asking = false
	if !answer.Accepts() {
		h.early, h.earlyBad = nil, false
		for range h.boards {
			h.early = append(h.early, map[FirmwareStatus]bool{})
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

// atLeast says whether a board has reported the status or one that lies behind it in OCPP's order.
func (h *firmwareHistory) atLeast(board int, status FirmwareStatus) bool {
	order := []FirmwareStatus{
		FirmwareDownloadScheduled, FirmwareDownloading, FirmwareDownloadPaused, FirmwareDownloaded,
		FirmwareSignatureVerified, FirmwareInstallScheduled, FirmwareInstallRebooting, FirmwareInstalling, FirmwareInstalled,
	}
	found := false
	for _, candidate := range order {
		found = found || candidate == status || (!h.idSigned && status == FirmwareDownloaded && candidate == FirmwareSignatureVerified)
		if found && h.reached[board][candidate] {
			return true
		}
	}
	return false
}

func (h *firmwareHistory) judgeStatus(status FirmwareStatus, rest []FirmwareAction) error {
	if status.IsFailure() {
		if !h.failed && !h.doubtful && !h.expired && !h.split {
			return fmt.Errorf("%s, but no board failed, none was silent", status)
		}
		return nil
	}
	for _, action := range rest {
		if action.Kind == FirmwarePublish && action.Status.IsFailure() {
			return nil // told so that the failure comes in order
		}
	}
	for board := range h.boards {
		if !h.atLeast(board, status) {
			return fmt.Errorf("%s, but board %d has not come so far", status, board)
		}
	}
	return nil
}

func (h *firmwareHistory) judgePermission(board int) error {
	if !h.allowed || h.failed || h.expired {
		return fmt.Errorf("board %d was permitted to install: allowed %t, failed %t, silent %t", board, h.allowed, h.failed, h.expired)
	}
	ready := FirmwareDownloaded
	if h.idSigned {
		ready = FirmwareSignatureVerified
	}
	for i := range h.boards {
		if !h.atLeast(i, ready) {
			return fmt.Errorf("board %d was permitted to install before board %d was ready", board, i)
		}
		if board == 0 && i > 0 && !h.reached[i][FirmwareInstallRebooting] && !h.reached[i][FirmwareInstalled] {
			return fmt.Errorf("the main board was permitted to install before board %d had come to its reboot", i)
		}
	}
	return nil
}

// restart is the main board's reboot: what the merge has saved is all that is left of it.
func (h *firmwareHistory) restart() error {
	state, active := h.merge.State()
	h.merge = NewFirmwareMerge(h.boards)
	h.tell("the main board restarts")
	if !active {
		return nil
	}
	h.limit = 0
	actions, err := h.merge.Restore(state)
	if err != nil {
		return err
	}
	for i, action := range actions {
		h.tell("  %s", firmwareActionLine(action))
		if err := h.judge(action, actions[i+1:]); err != nil {
			return err
		}
	}
	return nil
}

// comeToAnEnd: whatever has happened, the limits and a permission bring the update to an end state, and the next one
// can be asked for.
func (h *firmwareHistory) comeToAnEnd() error {
	for i := range h.boards {
		if h.asking {
			if err := h.step(FirmwareEvent{Kind: FirmwareAnswered, Board: i, Answer: UpdateRejected}); err != nil {
				return err
			}
		}
	}
	for range 8 {
		id, active := h.merge.Active()
		if !active {
			break
		}
		if h.limit == 0 {
			if err := h.step(FirmwareEvent{Kind: FirmwareAllowed}); err != nil {
				return err
			}
		}
		if h.limit == 0 && h.id == id {
			if _, active := h.merge.Active(); active {
				return fmt.Errorf("the update waits without a limit after the permission")
			}
		}
		if err := h.step(FirmwareEvent{Kind: FirmwareTimeUp, Phase: h.limit}); err != nil {
			return err
		}
	}
	if _, active := h.merge.Active(); active {
		return fmt.Errorf("the update has no end")
	}
	if h.order.accepted && !h.order.over {
		return fmt.Errorf("the backend was told no end: %v", h.order.heard)
	}
	return h.step(FirmwareEvent{Kind: FirmwareRequested, RequestID: h.nextID + 1000, Signed: true})
}
