package strict

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Memory is what stays of a board when its processes end: the PersistentStore and OCPP's database. Its zero value is
// that of a new board.
type Memory struct {
	mu sync.Mutex
	// values are those of the PersistentStore.
	values map[string]json.RawMessage
	// open are OCPP's transactions by EVSE.
	open   map[int]openTransaction
	lastID int
}

// openTransaction is a transaction of OCPP's database.
type openTransaction struct {
	ID int
	// Register is the last value of the meter in Wh.
	Register float64
}

// persistentStore stands in for PersistentStore, whose values are part of the Memory.
type persistentStore struct{ memory *Memory }

func (p persistentStore) setUp(module *everest.Module) error {
	provided := module.Provides("main")
	provided.Handle("store", func(_ context.Context, arguments everest.Args) (any, error) {
		var key string
		if err := arguments.Decode("key", &key); err != nil {
			return nil, err
		}
		p.memory.mu.Lock()
		defer p.memory.mu.Unlock()
		if p.memory.values == nil {
			p.memory.values = map[string]json.RawMessage{}
		}
		p.memory.values[key] = arguments["value"]
		return nil, nil
	})
	provided.Handle("load", func(_ context.Context, arguments everest.Args) (any, error) {
		var key string
		if err := arguments.Decode("key", &key); err != nil {
			return nil, err
		}
		p.memory.mu.Lock()
		defer p.memory.mu.Unlock()
		return p.memory.values[key], nil
	})
	return nil
}

// begin keeps a new transaction and returns its id.
func (m *Memory) begin(evse int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil {
		m.open = map[int]openTransaction{}
	}
	m.lastID++
	m.open[evse] = openTransaction{ID: m.lastID}
	return m.lastID
}

// read keeps the register of a transaction that is open.
func (m *Memory) read(evse int, register float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if kept, open := m.open[evse]; open {
		kept.Register = register
		m.open[evse] = kept
	}
}

func (m *Memory) end(evse int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, evse)
}

// left returns what was open when the board ended.
func (m *Memory) left() map[int]openTransaction {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.open)
}

// registerOf returns the register of a reading or a meter value.
func registerOf(value json.RawMessage) float64 {
	var read struct {
		Energy struct {
			Total float64 `json:"total"`
		} `json:"energy_Wh_import"`
	}
	if json.Unmarshal(value, &read) != nil {
		return 0
	}
	return read.Energy.Total
}

// closeLeft ends, at the start of OCPP, the transactions of the last run that no EVSE has resumed.
func (o *ocpp) closeLeft() {
	left := o.board.memory().left()
	for _, evse := range slices.Sorted(maps.Keys(left)) {
		kept := left[evse]
		if o.resumed[evse] {
			o.connectors[evse].transaction = kept.ID
			continue
		}
		o.board.memory().end(evse)
		o.send("StopTransaction", map[string]any{
			"transactionId": kept.ID, "reason": "PowerLoss", "meterStop": int(kept.Register), "timestamp": timestamp(),
		})
	}
}
