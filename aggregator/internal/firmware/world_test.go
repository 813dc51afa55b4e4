package firmware

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/machine/machinetest"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/reset"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/systemtest"
)

// TestStationIsTrueToItsBoards plays stations of boards with EVerest's, a polite and a vendor's System, with a backend that
// asks for updates and resets, crashes of boards and of single processes, power cuts and cut links. Each request has exactly one end, which is true to what
// the boards did, and no board is reset that has said that it is being flashed.
func TestStationIsTrueToItsBoards(t *testing.T) {
	ends := map[string]int{}
	machinetest.Histories(t, func(random *rand.Rand, tell func(string, ...any)) error {
		w := randomWorld(random, tell)
		w.playAnything()
		if w.wrong == nil && w.order.Accepted && !w.order.Over {
			w.wrong = fmt.Errorf("request %d has no end: %v", w.order.ID, w.order.Heard)
		}
		if w.order.Over {
			ends[w.order.Heard[len(w.order.Heard)-1]]++
		}
		return w.wrong
	})
	t.Logf("ends: %v", ends)
	if machinetest.Enough() && (ends["Installed"] == 0 || ends["DownloadFailed"] == 0 || ends["InstallationFailed"] == 0 || ends["InvalidSignature"] == 0) {
		t.Error("the histories do not test what they should")
	}
}

const linkDelay = 50 * time.Millisecond

// world is a station in a time of its own: its boards, the two machines with the timers of their shell, and a backend.
type world struct {
	random *rand.Rand
	tell   func(string, ...any)
	now    time.Duration
	queue  happenings
	number int
	wrong  error

	boards  []*systemtest.Board
	cut     []bool // the link of a satellite
	waiting [][]sent
	// held: the agent serves no main board, because one has restarted while its board was being updated. away: the
	// aggregator has found the link away.
	held, away []bool
	onTheWay   []int           // reports between a satellite's System and its agent
	awayAt     []time.Duration // when the link was seen away last
	// ended: the process of a satellite's agent or controller has crashed, and has not started again. agents counts the
	// starts of the agents, and known is the one that the aggregator has seen last, 0 for none.
	ended         []bool
	agents, known []int
	// writes: the board's agent, or the aggregator on the main board, has heard that the board is flashed for a signed
	// request. wentDown: the board's modules have then ended in order, and nobody has asked for its boot reason.
	writes, wentDown []bool
	asked            []bool // the board is reset by its agent, or by the station
	downs            []int  // the restart of a board that was seen last, while it is down
	lives            []int  // the restart of a satellite's agent that has joined
	told             []bool // the board has said that it is being flashed
	// unheard: a report that would have told the end was lost, and nothing else is left to tell it.
	unheard []bool

	machine  *Machine // nil while the main board is down
	reset    *reset.Machine
	disk     *Saved
	life     int // number of the aggregator's restart
	mainLife int // the restart of the main board in which the aggregator has started
	// alone: the aggregator's process has crashed, and the main board goes on without it.
	alone     bool
	limit     int
	waits     map[int]int
	flashes   map[int]int
	lastSign  time.Duration
	request   systemtest.Request
	asking    systemtest.Request
	order     ocppframes.UpdateOrder
	requested int64
	// doubtful: the request is without id, and so was another one that a board still had in hand. Nobody can tell their
	// reports apart. mayMix is the same of the request that the boards are being asked for.
	doubtful, mayMix bool
	// unsigned: an earlier request was. A board may install for that one at any time, and its boot reason tells nothing then.
	unsigned bool
	// failures counts the failures that a board has reported, and failed has the boards whose last report is one.
	failures map[part]int
	failed   map[part]bool
	// cutOff: a restart has cut off another request, or the boards were split by one that some refused.
	cutOff bool
	// acceptedIn is the life in which the request was accepted.
	acceptedIn int
	// asks counts the requests that the boards were asked for.
	asks int
	// permits is how long the backend takes to permit an installation. heard, reported and wasReset follow what happens.
	permits  func() time.Duration
	heard    func(id int64, text string)
	reported func(board int, status string)
	wasReset func(board int)
}

// part is a board's part in a request, between two restarts of the board.
type part struct {
	board, life int
	id          int64
}

// gaveUp reports whether a board does not have the image, and does not work on it any more.
func (w *world) gaveUp(i int) bool {
	b, key := w.boards[i], part{i, w.boards[i].Life(), w.request.ID}
	return b.Image != w.request.Image && (!b.Busy() || b.BadSignature || w.failed[key] && w.failures[key] >= max(w.request.Attempts, 1))
}

// sent is a report on its way from a satellite. last marks an end, which the agent keeps on disk.
type sent struct {
	deliver func()
	last    bool
}

// happening is something that happens at a time.
type happening struct {
	at     time.Duration
	number int
	what   func()
}

type happenings []happening

func (h happenings) Len() int { return len(h) }
func (h happenings) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].number < h[j].number
}
func (h happenings) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *happenings) Push(x any)   { *h = append(*h, x.(happening)) }
func (h *happenings) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// randomWorld is a station of random boards.
func randomWorld(random *rand.Rand, tell func(string, ...any)) *world {
	var boards []*systemtest.Board
	for i := range 2 + random.IntN(3) {
		b := &systemtest.Board{
			Kind: systemtest.Kind(random.IntN(3)), Store: random.IntN(3) > 0, ResetDelay: time.Duration(3*random.IntN(2)) * time.Second,
			Stray: random.IntN(3) == 0, BadSignature: random.IntN(12) == 0, FallsBack: random.IntN(8) == 0,
			Installation: time.Duration(1+random.IntN(200)) * time.Second, Boot: time.Duration(6+random.IntN(60)) * time.Second,
		}
		if random.IntN(4) == 0 {
			b.FailingDownloads = 1 + random.IntN(3)
		}
		boards = append(boards, b)
		tell("board %d: %+v", i, *b)
	}
	w := newWorld(random, tell, boards)
	w.permits = func() time.Duration { return w.within(time.Hour) }
	return w
}

func newWorld(random *rand.Rand, tell func(string, ...any), boards []*systemtest.Board) *world {
	count := len(boards)
	w := &world{
		random: random, tell: tell, boards: boards, cut: make([]bool, count), told: make([]bool, count), unheard: make([]bool, count),
		held: make([]bool, count), away: make([]bool, count), waiting: make([][]sent, count), lives: make([]int, count),
		onTheWay: make([]int, count), awayAt: make([]time.Duration, count), downs: make([]int, count), writes: make([]bool, count), asked: make([]bool, count), wentDown: make([]bool, count), ended: make([]bool, count), agents: make([]int, count), known: make([]int, count),
		failures: map[part]int{}, failed: map[part]bool{}, heard: func(int64, string) {}, reported: func(int, string) {}, wasReset: func(int) {},
	}
	for i, b := range boards {
		b.After = w.after
		b.Report = func(id int64, status string) { w.report(i, id, status) }
	}
	w.start()
	return w
}

func (w *world) after(wait time.Duration, what func()) {
	w.number++
	heap.Push(&w.queue, happening{w.now + wait, w.number, what})
}

// playAnything plays the first hour with everything that can happen, and then waits until nothing happens any more.
func (w *world) playAnything() {
	for range 1 + w.random.IntN(4) {
		w.after(w.within(time.Hour), w.requestAnything)
	}
	for range w.random.IntN(6) {
		w.after(w.within(time.Hour), w.trouble)
	}
	for range w.random.IntN(3) {
		w.after(w.within(time.Hour), w.requestReset)
	}
	w.play()
}

// play plays until nothing happens any more.
func (w *world) play() {
	for len(w.queue) > 0 && w.wrong == nil && w.now < 48*time.Hour {
		next := heap.Pop(&w.queue).(happening)
		w.now = next.at
		next.what()
		for i, b := range w.boards {
			w.told[i] = w.told[i] && b.Flashing()
			life := b.Life()
			if life != w.downs[i] {
				w.downs[i] = life
				w.wentDown[i], w.writes[i] = w.wentDown[i] || w.writes[i] && b.EndedInOrder() && !w.asked[i], false
				w.asked[i] = false
			}
			if i > 0 && life != w.lives[i] && !b.Down() {
				w.lives[i] = life
				w.restarted(i)
			}
		}
		if w.machine != nil && w.boards[0].Down() {
			w.stop()
		}
		if w.machine == nil && !w.boards[0].Down() && !w.alone {
			w.start()
		}
	}
}

func (w *world) within(limit time.Duration) time.Duration {
	// Mostly soon, so that things happen during an update.
	if w.random.IntN(3) > 0 {
		limit = 5 * time.Minute
	}
	return time.Duration(w.random.Int64N(int64(limit)))
}

func (w *world) trouble() {
	board := w.random.IntN(len(w.boards))
	switch w.random.IntN(8) {
	case 0:
		w.powerCut()
	case 1, 2:
		w.tell("%v board %d crashes", w.now, board)
		w.crash(board)
	case 3:
		w.crashAggregator()
	case 4:
		w.crashAgent(board)
	case 5:
		w.crashController(board)
	default:
		if board == 0 || w.cut[board] {
			return
		}
		w.cutLink(board)
		w.after(w.within(20*time.Minute), func() { w.healLink(board) })
	}
}

func (w *world) cutLink(board int) {
	w.tell("%v the link of board %d is cut", w.now, board)
	w.cut[board] = true
}

func (w *world) healLink(board int) {
	w.tell("%v the link of board %d is back", w.now, board)
	w.cut[board] = false
	w.handOver(board)
}

// handOver delivers what a satellite's agent has for its main board.
func (w *world) handOver(board int) {
	if w.boards[0].Down() || !w.there(board) {
		return
	}
	reports := w.waiting[board]
	w.waiting[board] = nil
	for _, report := range reports {
		report.deliver()
	}
}

func (w *world) powerCut() {
	w.tell("%v a power cut", w.now)
	for i := range w.boards {
		w.crash(i)
	}
}

func (w *world) crash(i int) { w.boards[i].Crash() }

// processStart is how long a process is away that is started again alone.
const processStart = 2 * time.Second

// crashAggregator ends the aggregator's process alone. What is published meanwhile reaches nobody.
func (w *world) crashAggregator() {
	if w.machine == nil {
		return
	}
	w.tell("%v the aggregator crashes", w.now)
	w.alone = true
	w.stop()
	w.after(processStart, func() { w.alone = false })
}

// crashAgent ends the process of a satellite's agent alone. Of what it had for its main board an end is left.
func (w *world) crashAgent(i int) {
	if i == 0 || w.boards[i].Down() || w.ended[i] {
		return
	}
	w.tell("%v the agent of board %d crashes", w.now, i)
	w.ended[i], w.held[i] = true, false
	life := w.boards[i].Life()
	w.after(processStart, func() {
		if w.ended[i] = false; w.boards[i].Life() == life {
			w.joined(i)
		}
	})
}

// crashController ends the process of a satellite's controller alone. The agent meets the new one as after a restart of
// the main board.
func (w *world) crashController(i int) {
	if i == 0 || w.boards[0].Down() || w.ended[i] {
		return
	}
	w.tell("%v the controller of board %d crashes", w.now, i)
	w.ended[i] = true
	w.after(processStart, func() {
		w.ended[i] = false
		w.meet(i)
		w.handOver(i)
	})
}

// restarted is the start of a satellite.
func (w *world) restarted(i int) {
	w.held[i], w.ended[i] = false, false
	w.joined(i)
}

// joined is the start of a satellite's agent. Of what it had for its main board an end is left.
func (w *world) joined(i int) {
	w.agents[i]++
	if reports := w.waiting[i]; len(reports) > 0 {
		last := reports[len(reports)-1]
		w.waiting[i] = nil
		if last.last {
			w.waiting[i] = []sent{last}
		}
		w.unheard[i] = w.unheard[i] || !last.last || len(reports) > 1
	}
	w.handOver(i)
}

// there reports whether a satellite can be reached.
func (w *world) there(i int) bool {
	return !w.boards[i].Down() && !w.cut[i] && !w.held[i] && !w.ended[i]
}

// meet is what an agent does when its controller has restarted: it restarts its board, and holds that until an update
// has ended. A board that waits for its permission for a minute is restarted.
func (w *world) meet(i int) {
	if b := w.boards[i]; !b.Down() && !w.ended[i] {
		w.held[i] = true
		w.resetHeld(i, b.Life(), w.now)
	}
}

func (w *world) resetHeld(i, life int, waits time.Duration) {
	b := w.boards[i]
	w.after(time.Second, func() {
		switch {
		case b.Life() != life || !w.held[i]:
		case w.onTheWay[i] > 0, b.Busy() && (!b.Waits() || w.now-waits < time.Minute):
			if !b.Waits() {
				waits = w.now
			}
			w.resetHeld(i, life, waits)
		default:
			w.tell("%v the agent of board %d resets it", w.now, i)
			w.asked[i] = true
			b.Reset()
		}
	})
}

// start is the start of the aggregator, which takes up what it has saved.
func (w *world) start() {
	w.life++
	w.machine, w.reset = NewMachine(len(w.boards)), reset.NewMachine(len(w.boards))
	w.waits, w.flashes, w.lastSign = map[int]int{}, map[int]int{}, w.now
	clear(w.known)
	w.every(5*time.Second, w.lookAtBoards)
	life := w.boards[0].Life()
	alone := life == w.mainLife
	if !alone {
		w.mainLife = life
		for i := 1; i < len(w.boards); i++ {
			w.meet(i)
			w.handOver(i)
		}
	}
	if w.disk == nil {
		return
	}
	w.cutOff = w.cutOff || w.disk.Asking
	w.tell("%v the aggregator has started again", w.now)
	w.order.Restarted = true
	actions, err := w.machine.Restore(*w.disk, alone)
	if err != nil {
		w.wrong = err
	}
	w.perform(actions)
	if w.machine.Unfinished(0) && w.bootReason(0) == "FirmwareUpdate" {
		w.step(Booted{Board: 0})
	}
}

func (w *world) stop() {
	w.tell("%v the aggregator ends", w.now)
	w.machine, w.reset = nil, nil
	w.life++
}

// inLife calls fn later, unless the aggregator has ended by then.
func (w *world) inLife(wait time.Duration, fn func()) {
	life := w.life
	w.after(wait, func() {
		if w.life == life && w.machine != nil {
			fn()
		}
	})
}

func (w *world) every(wait time.Duration, fn func()) {
	w.inLife(wait, func() {
		fn()
		if _, active := w.machine.Active(); active || len(w.queue) > 0 {
			w.every(wait, fn)
		}
	})
}

func (w *world) lookAtBoards() {
	for i := range w.boards {
		away := !w.there(i)
		if away {
			w.awayAt[i] = w.now
		}
		if i > 0 && away != w.away[i] {
			if w.away[i] = away; away {
				w.step(Away{Board: i})
			} else {
				w.step(Back{Board: i})
			}
		}
		if i == 0 || !w.machine.Unfinished(i) || !w.there(i) {
			continue
		}
		if w.bootReason(i) == "FirmwareUpdate" {
			w.step(Booted{Board: i})
		}
		// The agent's uptime shows a start.
		known := w.known[i]
		if w.known[i] = w.agents[i] + 1; known != 0 && known != w.known[i] {
			w.step(Restarted{Board: i})
		}
	}
}

// bootReason is what the agent, or the aggregator, makes of the boot reason of a board's System.
func (w *world) bootReason(i int) string {
	reason := w.boards[i].BootReason()
	if w.wentDown[i] && reason == "PowerUp" {
		reason = "FirmwareUpdate"
	}
	w.wentDown[i] = false
	return reason
}

// isSigned reports whether a request is known to be signed.
func (w *world) isSigned(id int64) bool {
	return w.request.ID == id && w.request.Signed || w.asking.ID == id && w.asking.Signed
}

// noteWriting takes a report as the board's agent takes it.
func (w *world) noteWriting(i int, status Status, signed bool) {
	w.writes[i] = status == Installing && signed
	w.wentDown[i] = false
}

// report takes a report on its way: at once on the main board, over the link from a satellite.
func (w *world) report(i int, id int64, name string) {
	status, _ := ParseStatus(name)
	asks := w.asks
	signed := w.isSigned(id)
	w.reported(i, name)
	if key := (part{i, w.boards[i].Life(), id}); status.IsFailure() {
		w.failures[key]++
		w.failed[key] = true
	} else {
		w.failed[key] = false
	}
	deliver := func() {
		if w.machine == nil {
			w.unheard[i] = true
			return
		}
		if w.told[i] = (status == Installing || status == InstallRebooting) && w.boards[i].Flashing(); i == 0 {
			w.noteWriting(0, status, signed && w.order.Accepted && !w.order.Over && id == w.order.ID)
		}
		w.tell("%v board %d reports %d %s", w.now, i, id, name)
		w.lastSign = w.now
		if id == NoRequestID && w.asking.ID == NoRequestID && asks != w.asks {
			// It was on its way when another request without id came.
			w.doubtful, w.mayMix = true, true
		}
		w.step(Reported{Board: i, RequestID: id, Status: status})
	}
	if i == 0 {
		w.after(0, deliver)
		return
	}
	board := w.boards[i]
	life := board.Life()
	w.onTheWay[i]++
	w.after(linkDelay, func() {
		w.onTheWay[i]--
		if board.Life() == life && !w.ended[i] {
			w.noteWriting(i, status, signed)
		}
		switch {
		case board.Life() != life, w.ended[i]:
			w.unheard[i] = true // it has died with its process
		case w.cut[i], w.held[i], w.boards[0].Down():
			w.waiting[i] = append(w.waiting[i], sent{deliver, status == Installed || status.IsFailure()})
		default:
			deliver()
		}
	})
}

func (w *world) step(event Event) {
	w.perform(w.machine.Step(event))
}

// perform does what the shell does.
func (w *world) perform(actions []Action) {
	for i, action := range actions {
		if line := actionLine(action); line != "" {
			w.tell("  %s", line)
		}
		switch action := action.(type) {
		case Ask:
			w.ask()
		case *Reply:
			w.replied(action.Response)
		case *Publish:
			w.judge(action, actions[i+1:])
		case *Permit:
			w.lastSign = w.now
			board := action.Board
			w.inLife(linkDelay, func() {
				if w.there(board) {
					w.boards[board].Allow()
					// It begins, and its report comes later.
					w.told[board] = w.boards[board].Flashing()
				}
			})
		case *StartLimit:
			w.limit++
			mine, phase := w.limit, action.Phase
			w.inLife(map[Phase]time.Duration{PhaseDownload: 4 * time.Hour, PhaseVerify: 15 * time.Minute}[phase]+2*time.Hour, func() {
				if w.limit == mine {
					w.step(LimitExpired{Phase: phase})
				}
			})
		case StopLimit:
			w.limit++
		case *Wait:
			w.wait(action.Board, action.For)
		case *StopWait:
			w.waits[action.Board]++
		case StopWaits:
			for board := range w.boards {
				w.waits[board]++
			}
		case *Flashing:
			w.flashes[action.Board]++
			if mine, board := w.flashes[action.Board], action.Board; action.On {
				w.inLife(2*time.Hour, func() {
					if w.flashes[board] == mine {
						w.step(FlashLimitExpired{Board: board})
					}
				})
			}
		case Save, Forget:
			w.disk = nil
			if saved, any := w.machine.Saved(); any {
				w.disk = &saved
			}
		}
	}
	any := false
	for i := range w.boards {
		any = any || w.machine.IsFlashing(i)
	}
	w.stepReset(reset.Flashing{Any: any})
}

func (w *world) wait(board int, awaited Awaited) {
	w.waits[board]++
	mine := w.waits[board]
	limit := map[Awaited]time.Duration{
		AwaitedAttempt: w.request.Interval + 30*time.Second, AwaitedEnd: time.Minute, AwaitedSign: 5 * time.Minute,
	}[awaited]
	w.waitFor(board, mine, limit)
}

func (w *world) waitFor(board, mine int, limit time.Duration) {
	w.inLife(limit, func() {
		switch {
		case w.waits[board] != mine:
		case board > 0 && !w.there(board):
			w.awayAt[board] = w.now
			w.waitFor(board, mine, 5*time.Second)
		case w.awayAt[board] > 0 && w.now-w.awayAt[board] < 30*time.Second:
			w.waitFor(board, mine, 30*time.Second-(w.now-w.awayAt[board]))
		default:
			w.step(WaitEnded{Board: board})
		}
	})
}

// requestAnything is a request of the backend.
func (w *world) requestAnything() {
	w.requested++
	request := systemtest.Request{
		ID: w.requested, Image: w.requested, Signed: w.random.IntN(3) > 0, Attempts: w.random.IntN(4), Interval: time.Duration(w.random.IntN(120)) * time.Second,
	}
	if !request.Signed && w.random.IntN(2) == 0 {
		request.ID = NoRequestID // of OCPP 1.6
	}
	w.requestUpdate(request)
}

func (w *world) requestUpdate(request systemtest.Request) {
	if w.machine == nil {
		return // OCPP is down too
	}
	w.tell("%v the backend requests %+v", w.now, request)
	actions := w.machine.Step(Requested{
		RequestID: request.ID, Signed: request.Signed, Attempts: request.Attempts, Silent: w.now-w.lastSign >= 10*time.Minute,
	})
	for _, action := range actions {
		if _, ok := action.(Ask); ok {
			w.unsigned = w.unsigned || w.asks > 0 && !w.asking.Signed
			if i := slices.Index(w.told, true); i >= 0 && w.now-w.lastSign < 10*time.Minute {
				w.fail(fmt.Errorf("request %d is put to the boards while board %d is flashed", request.ID, i))
			}
			w.asking, w.mayMix = request, false
			w.asks++
			for _, b := range w.boards {
				w.mayMix = w.mayMix || !request.Signed && b.Busy()
			}
		}
	}
	if len(actions) > 0 {
		if reply, ok := actions[0].(*Reply); ok {
			w.tell("  reply %s", reply.Response)
			w.heard(request.ID, reply.Response.String())
			w.order.Answer(request.ID, request.Signed, reply.Response.String())
			actions = actions[1:]
		}
	}
	w.perform(actions)
}

// ask asks the boards, unless one is away.
func (w *world) ask() {
	away := false
	for i := range w.boards {
		away = away || i > 0 && !w.there(i)
	}
	request := w.asking
	for i, b := range w.boards {
		event := Responded{Board: i, Response: ResponseRejected}
		w.inLife(linkDelay, func() {
			wait := time.Duration(w.random.IntN(200)) * time.Millisecond
			if !away && w.there(i) {
				// A board that forgets its reason when it is asked has no old one.
				first, again := w.bootReason(i), w.bootReason(i)
				event.OldBootReason = first == "FirmwareUpdate" && again == first && b.Kind != systemtest.EVerest
				event.Response, _ = ParseResponse(b.Update(request))
			} else {
				wait = 20 * time.Second
			}
			w.inLife(wait, func() { w.step(event) })
		})
	}
}

func (w *world) replied(response Response) {
	w.heard(w.asking.ID, response.String())
	w.cutOff = !response.Accepts()
	if saved := w.disk; response.Accepts() && (saved == nil || saved.Over || saved.Asking || saved.RequestID != w.asking.ID) {
		w.fail(fmt.Errorf("request %d is accepted, and a power cut now would lose it", w.asking.ID))
	}
	if response.Accepts() {
		w.request, w.doubtful, w.acceptedIn = w.asking, w.mayMix, w.life
		clear(w.unheard)
		for i, agents := range w.agents {
			w.known[i] = agents + 1 // it has just answered
		}
	}
	w.order.Answer(w.asking.ID, w.asking.Signed, response.String())
}

// judge holds a status against what the boards did.
func (w *world) judge(action *Publish, rest []Action) {
	over := w.order.Over
	w.heard(action.RequestID, action.Status.String())
	if err := w.order.Hear(action.RequestID, action.Status.String()); err != nil {
		w.fail(err)
		return
	}
	if over {
		return // the refusal of another request
	}
	// EVerest's OCPP201 does not permit an unsigned update after a restart.
	forgotten := !w.request.Signed && w.request.ID != NoRequestID && w.life != w.acceptedIn
	if action.Status == w.imageReady() && !forgotten {
		permitted := w.permits()
		w.inLife(permitted, func() { w.step(Allowed{}) })
		if w.random.IntN(8) == 0 {
			// The boards are looked for before the permission, and reset between it and the report of a board that has begun.
			w.inLife(permitted-time.Duration(w.random.Int64N(int64(2*linkDelay))), w.requestReset)
		}
	}
	if !w.order.Over || w.order.Heard[len(w.order.Heard)-1] != action.Status.String() {
		return
	}
	have, unheard, untold, gaveUp := true, w.doubtful, w.doubtful, w.cutOff || forgotten
	for i, b := range w.boards {
		have = have && b.Image == w.request.Image
		// A board that is away beyond the limit of a phase cannot be heard.
		away := i > 0 && !w.there(i)
		unheard = unheard || w.unheard[i] || away
		// The boot reason tells a success whose report is lost, but not where the board may have installed for an unsigned request.
		silent := b.Kind == systemtest.EVerest && !b.Store && b.ResetDelay == 0
		mixed := (w.unsigned || b.Mute) && (silent || w.unheard[i])
		untold = untold || away || mixed || w.unheard[i] && b.Kind == systemtest.EVerest && !b.Store
		gaveUp = gaveUp || away || mixed || b.Mute || w.gaveUp(i)
	}
	switch {
	case action.Status == Installed && !have && !unheard:
		w.fail(fmt.Errorf("%d Installed, but a board does not have the image", action.RequestID))
	case action.Status != Installed && have && !untold:
		w.fail(fmt.Errorf("%d %s, but every board has the image", action.RequestID, action.Status))
	case action.Status != Installed && !have && !gaveUp && !unheard:
		w.fail(fmt.Errorf("%d %s, but every board without the image still works on it", action.RequestID, action.Status))
	}
}

func (w *world) imageReady() Status {
	if w.request.Signed {
		return SignatureVerified
	}
	return Downloaded
}

func (w *world) fail(err error) {
	if w.wrong == nil {
		w.wrong = fmt.Errorf("at %v: %w", w.now, err)
	}
}

// requestReset is a backend's reset, which OCPP asks for when it is allowed. Sometimes somebody does not ask first.
func (w *world) requestReset() {
	if w.machine == nil {
		return
	}
	for i := range w.boards {
		if w.machine.IsFlashing(i) && w.random.IntN(4) > 0 {
			return
		}
	}
	w.tell("%v the backend requests a reset", w.now)
	w.stepReset(reset.Requested{})
}

func (w *world) stepReset(event reset.Event) {
	if w.reset == nil {
		return
	}
	for _, action := range w.reset.Step(event) {
		switch action := action.(type) {
		case reset.Look:
			w.inLife(100*time.Millisecond, func() {
				var found reset.Found
				for i := range w.boards {
					if i > 0 && w.there(i) {
						found.Boards = append(found.Boards, i)
					}
				}
				w.stepReset(found)
			})
		case *reset.Call:
			w.tell("%v board %d is reset", w.now, action.Board)
			for i := range w.boards {
				if w.told[i] {
					w.fail(fmt.Errorf("board %d is reset while board %d is flashed", action.Board, i))
				}
			}
			w.wasReset(action.Board)
			w.asked[action.Board] = true
			w.boards[action.Board].Reset()
			w.inLife(100*time.Millisecond, func() { w.stepReset(reset.BoardDone{Board: action.Board}) })
		case reset.Pause:
			w.inLife(3*time.Second, func() { w.stepReset(reset.PauseEnded{}) })
		}
	}
}
