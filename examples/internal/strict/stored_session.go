package strict

import (
	"context"

	"github.com/remotechargeport/remotechargeport/everest"
)

// resumeStored publishes, at the boot of an EvseManager, what is left of the session that its store has: an end without a
// session, and no SessionFinished.
func (m *evseManager) resumeStored(ctx context.Context) {
	session := m.stored(ctx)
	if session == "" {
		return
	}
	m.session = session
	m.tell(ctx, "SessionResumed", nil)
	m.session = ""
	m.storeSession(ctx, "")
	m.tell(ctx, "TransactionFinished", map[string]any{
		"transaction_finished": map[string]any{"reason": "PowerLoss", "meter_value": m.meterValue()},
	})
}

// storeKey is the key of the PersistentStore for the session of this module.
func (m *evseManager) storeKey() string { return m.module.ID() + "_session" }

// storeSession stores an id, "" for none, where the EVSE has a store. The real module waits for it, too.
func (m *evseManager) storeSession(ctx context.Context, session string) {
	for _, store := range m.module.Requires("store") {
		// A store that has ended ends the board.
		_ = store.Call(ctx, "store", map[string]any{"key": m.storeKey(), "value": session}, nil)
	}
}

func (m *evseManager) stored(ctx context.Context) string {
	for _, store := range m.module.Requires("store") {
		session, err := everest.Call[*string](ctx, store, "load", map[string]any{"key": m.storeKey()})
		if err == nil && session != nil {
			return *session
		}
	}
	return ""
}
