package firmware

import (
	"slices"
	"testing"
)

// TestRestoredStateIsKept: what a restart has changed is saved at once, or nothing is any more.
func TestRestoredStateIsKept(t *testing.T) {
	for _, test := range []struct {
		name   string
		boards []SavedBoard
		want   Action
	}{
		{"the main board was being flashed", []SavedBoard{{Flashing: true, FlashID: 7}, {}}, Forget{}},
		{"the satellite is being flashed", []SavedBoard{{Flashing: true, FlashID: 7}, {Flashing: true, FlashID: 7}}, Save{}},
	} {
		actions, err := NewMachine(2).Restore(Saved{Over: true, Boards: test.boards}, false)
		if err != nil || !slices.Contains(actions, test.want) {
			t.Errorf("%s: %v, %v", test.name, actions, err)
		}
	}
}
