package aggregator

// ResetPlan is the order of a station's reset: every satellite, then a pause, then the main board, which would cut the
// others off. It is a pure value: Step takes what happened and says what to do. It is not safe for concurrent use.
//
// The caller of reset is answered at once. A reset while one is under way changes nothing: the boards that matter have
// been told already. A satellite that cannot be told does not stop the others.
type ResetPlan struct {
	satellites int
	waiting    int
	told       []bool
	step       resetStep
	actions    []ResetAction
}

type resetStep uint8

const (
	resetIdle resetStep = iota
	resetSatellites
	resetPause
	resetMain
)

// NewResetPlan is the plan of a station of boards boards, of which board 0 is the main board.
func NewResetPlan(boards int) *ResetPlan {
	return &ResetPlan{satellites: boards - 1, told: make([]bool, boards), actions: make([]ResetAction, 0, boards+2)}
}

// ResetEventKind says what happened.
type ResetEventKind uint8

const (
	// ResetRequested: somebody called reset.
	ResetRequested ResetEventKind = iota + 1
	// ResetTold: a board has answered its reset, or did not in time, or refused (Board).
	ResetTold
	// ResetPauseOver: the pause has passed.
	ResetPauseOver
)

// ResetEvent is one thing that happened; which fields count says its kind.
type ResetEvent struct {
	Kind  ResetEventKind
	Board int
}

// ResetActionKind says what to do.
type ResetActionKind uint8

const (
	// ResetReply: answer the caller.
	ResetReply ResetActionKind = iota + 1
	// ResetBoard: call reset of a board (Board) with the caller's arguments.
	ResetBoard
	// ResetPause: wait for the satellites to go down.
	ResetPause
)

// ResetAction is one thing to do; which fields count says its kind.
type ResetAction struct {
	Kind  ResetActionKind
	Board int
}

// Step takes what happened and says what to do, in this order. The slice is valid until the next Step.
func (p *ResetPlan) Step(event ResetEvent) []ResetAction {
	p.actions = p.actions[:0]
	switch event.Kind {
	case ResetRequested:
		p.do(ResetAction{Kind: ResetReply})
		if p.step == resetIdle {
			p.begin()
		}
	case ResetTold:
		p.boardTold(event.Board)
	case ResetPauseOver:
		if p.step == resetPause {
			p.step = resetMain
			p.do(ResetAction{Kind: ResetBoard, Board: 0})
		}
	}
	return p.actions
}

func (p *ResetPlan) begin() {
	clear(p.told)
	p.waiting = p.satellites
	if p.satellites == 0 {
		p.step = resetMain
		p.do(ResetAction{Kind: ResetBoard, Board: 0})
		return
	}
	p.step = resetSatellites
	for board := p.satellites; board > 0; board-- {
		p.do(ResetAction{Kind: ResetBoard, Board: board})
	}
}

func (p *ResetPlan) boardTold(board int) {
	if board < 0 || board >= len(p.told) || p.told[board] {
		return
	}
	switch {
	case board == 0 && p.step == resetMain:
		p.step = resetIdle
	case board > 0 && p.step == resetSatellites:
		p.told[board] = true
		p.waiting--
		if p.waiting == 0 {
			p.step = resetPause
			p.do(ResetAction{Kind: ResetPause})
		}
	}
}

func (p *ResetPlan) do(action ResetAction) { p.actions = append(p.actions, action) }
