package satellite

import "sync"

// mostTold bounds what is remembered: a peer must not fill the memory with new
// things to say.
const mostTold = 256

// told remembers what was logged already. The zero value remembers nothing.
type told struct {
	lock sync.Mutex
	what map[string]bool
}

// first reports whether something is said for the first time.
func (t *told) first(what string) bool {
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.what[what] || len(t.what) >= mostTold {
		return false
	}
	if t.what == nil {
		t.what = make(map[string]bool)
	}
	t.what[what] = true
	return true
}
