package rpc

// callTable finds a call under way by its message id. Ids are given in order, so that a ring finds nearly all calls. A
// call that is under way while the ring goes round once moves into a map. It is for one goroutine at a time.
type callTable struct {
	ring     []*call
	overflow map[uint32]*call
	count    int
	last     uint32
}

const ringSize = 64

// add gives the call the next id that no call under way has, and keeps it. Ids go from 1 to 2^32-1 and begin again.
func (t *callTable) add(c *call) {
	if t.ring == nil {
		t.ring = make([]*call, ringSize)
	}
	for {
		t.last++
		if t.last == 0 {
			continue
		}
		if t.find(t.last) == nil {
			break
		}
	}
	c.id = t.last
	slot := &t.ring[c.id%ringSize]
	if old := *slot; old != nil {
		if t.overflow == nil {
			t.overflow = make(map[uint32]*call)
		}
		t.overflow[old.id] = old
	}
	*slot = c
	t.count++
}

// find returns nil when there is no call with the id.
func (t *callTable) find(id uint32) *call {
	if t.ring == nil {
		return nil
	}
	if c := t.ring[id%ringSize]; c != nil && c.id == id {
		return c
	}
	return t.overflow[id]
}

// take removes and returns the call with the id, nil when there is none.
func (t *callTable) take(id uint32) *call {
	c := t.find(id)
	if c == nil {
		return nil
	}
	if slot := &t.ring[id%ringSize]; *slot == c {
		*slot = nil
	} else {
		delete(t.overflow, id)
	}
	t.count--
	return c
}

// takeAll removes and returns every call.
func (t *callTable) takeAll() []*call {
	var all []*call
	for i, c := range t.ring {
		if c != nil {
			all = append(all, c)
			t.ring[i] = nil
		}
	}
	for id, c := range t.overflow {
		all = append(all, c)
		delete(t.overflow, id)
	}
	t.count = 0
	return all
}
