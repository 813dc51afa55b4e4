package logs

import "slices"

// Types has a machine for each log type in progress, and gives the boards to one type at a time, in the order of the
// requests: a board's System has one upload at a time, and gives one up for the next. K is what tells types apart. Types
// is not safe for concurrent use.
type Types[K comparable] struct {
	boards   int
	machines map[K]*Machine
	queue    []K // types that wait for the boards
}

// NewTypes returns machines for boards boards without a request.
func NewTypes[K comparable](boards int) *Types[K] {
	return &Types[K]{boards: boards, machines: map[K]*Machine{}}
}

// Step has the machine of a type take an event, and perform carry out its actions. What becomes possible for other types
// follows. Only Requested begins a type. BoardsTaken is set here.
func (t *Types[K]) Step(kind K, event Event, perform func(K, []Action)) {
	m := t.machines[kind]
	if request, ok := event.(Requested); ok {
		request.BoardsTaken = t.taken(kind)
		event = request
		if m == nil {
			m = NewMachine(t.boards)
			t.machines[kind] = m
		}
	}
	if m == nil {
		return
	}
	perform(kind, m.Step(event))
	if _, queued := m.queued(); queued && !slices.Contains(t.queue, kind) {
		t.queue = append(t.queue, kind)
	}
	if m.Idle() {
		delete(t.machines, kind)
	}
	t.giveTurn(perform)
}

// taken reports whether the boards work, or are to work before, for another type.
func (t *Types[K]) taken(kind K) bool {
	for other, m := range t.machines {
		if other != kind && m.HasBoards() {
			return true
		}
	}
	return false
}

func (t *Types[K]) giveTurn(perform func(K, []Action)) {
	for len(t.queue) > 0 {
		kind := t.queue[0]
		m := t.machines[kind]
		number, queued := 0, false
		if m != nil {
			number, queued = m.queued()
		}
		if queued && t.anyHasBoards() {
			return
		}
		t.queue = t.queue[1:]
		if queued {
			perform(kind, m.Step(TurnCame{Job: number}))
		}
	}
}

func (t *Types[K]) anyHasBoards() bool {
	for _, m := range t.machines {
		if m.HasBoards() {
			return true
		}
	}
	return false
}

// Machine returns the machine of a type, nil where no request of it is in progress.
func (t *Types[K]) Machine(kind K) *Machine { return t.machines[kind] }

// All calls yield for each type in progress.
func (t *Types[K]) All(yield func(K, *Machine) bool) {
	for kind, m := range t.machines {
		if !yield(kind, m) {
			return
		}
	}
}

// Len returns how many types are in progress.
func (t *Types[K]) Len() int { return len(t.machines) }

// Forget forgets a type and whatever is in progress for it.
func (t *Types[K]) Forget(kind K) { delete(t.machines, kind) }
