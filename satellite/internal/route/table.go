package route

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// Table is the route table of one board, with the peer's summary once that is known. The zero value tunnels nothing.
// All methods may be called from any goroutine.
type Table struct {
	mu         sync.Mutex
	routes     []Route
	interfaces map[string]string
	extras     []string
	variables  map[string]map[string]bool // of all routes, by id
	own, peer  Summary                    // peer is nil while it is not known
	// maxValue and peerValue are the longest values that modules of either board take, 0 where that is not known.
	maxValue, peerValue int
	differences         []string
	reported            map[string]bool
}

// Resolve resolves the table against a board. interfaces are those of the manifest's requirements or implementations,
// by id, and tunnel is the configuration key. The problems name the extras that are left out, and the remedy.
func (t *Table) Resolve(interfaces map[string]string, definitions *schema.Definitions, tunnel string) (problems []string, err error) {
	extras, err := ParseExtras(tunnel)
	if err != nil {
		return nil, fmt.Errorf("satellite: the configuration key tunnel: %w", err)
	}
	routes, problems := resolve(interfaces, definitions, extras)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.routes, t.interfaces, t.own = routes, interfaces, summarise(routes, interfaces, definitions)
	t.variables = make(map[string]map[string]bool, len(routes))
	for _, route := range routes {
		names := make(map[string]bool, len(route.Variables))
		for _, variable := range route.Variables {
			names[variable.Name] = true
		}
		t.variables[route.ID] = names
		if route.Extra {
			t.extras = append(t.extras, route.ID)
		}
	}
	slices.Sort(t.extras)
	return problems, nil
}

// Routes returns the routes. The caller must not change them.
func (t *Table) Routes() []Route {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.routes
}

// Extras returns the ids of the extras that are tunnelled. The caller must not change them.
func (t *Table) Extras() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.extras
}

// HasInterface reports whether the board's manifest has the route. A manifest lacks the interfaces that the board's
// EVerest does not define.
func (t *Table) HasInterface(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, has := t.interfaces[id]
	return has
}

// HasVariable reports whether a variable is tunnelled.
func (t *Table) HasVariable(id, name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.variables[id][name]
}

// Connect records what an extra is connected to on the satellite. Only the agent calls it.
func (t *Table) Connect(id, module, implementation string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if entry, known := t.own[id]; known {
		entry.Module, entry.Implementation = module, implementation
		t.own[id] = entry
	}
}

// SetMaxValue sets the longest value in bytes that modules of this board take.
func (t *Table) SetMaxValue(size int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.maxValue = size
	for id, entry := range t.own {
		entry.MaxValue = size
		t.own[id] = entry
	}
}

// MaxValue returns the longest value in bytes that modules of both boards take, as far as the peer's are known.
func (t *Table) MaxValue() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peerValue > 0 {
		return min(t.maxValue, t.peerValue)
	}
	return t.maxValue
}

// Summary returns this board's summary as the JSON text that FunctionSummary carries.
func (t *Table) Summary() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, err := Marshal(t.own)
	return string(text), err
}

// Compare keeps the peer's summary and returns what the boards tunnel differently. name is the peer's name in the
// texts.
func (t *Table) Compare(peer Summary, name string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peer, t.peerValue = peer, 0
	for _, entry := range peer {
		if entry.MaxValue > 0 && (t.peerValue == 0 || entry.MaxValue < t.peerValue) {
			t.peerValue = entry.MaxValue
		}
	}
	return differences(t.own, peer, name)
}

// Forget drops the peer's summary, because the peer sends none.
func (t *Table) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peer, t.peerValue = nil, 0
}

// Peer returns the peer's summary, nil while it is not known.
func (t *Table) Peer() Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peer
}

// SetDifferences replaces the differences. It reports whether these should be logged: there are some, and the same were
// not reported before.
func (t *Table) SetDifferences(differences []string) (first bool) {
	t.mu.Lock()
	t.differences = differences
	t.mu.Unlock()
	return len(differences) > 0 && t.First(strings.Join(differences, "\n"))
}

// Differences returns the last differences, nil before the first comparison.
func (t *Table) Differences() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.differences
}

// maxReported is how many texts First remembers. Further ones are not reported: a peer must not fill the memory.
const maxReported = 256

// maxReportedText is how many bytes of a text First compares: the texts have the peer's names in them.
const maxReportedText = 16 << 10

// First reports whether a text should be logged, because it was not reported before.
func (t *Table) First(text string) bool {
	if len(text) > maxReportedText {
		text = strings.Clone(text[:maxReportedText])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reported[text] || len(t.reported) >= maxReported {
		return false
	}
	if t.reported == nil {
		t.reported = make(map[string]bool)
	}
	t.reported[text] = true
	return true
}
