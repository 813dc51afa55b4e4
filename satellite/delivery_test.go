package satellite

import (
	"context"
	"testing"
)

// What is taken and not published yet still waits: a controller that ends now
// loses it.
func TestDeliveryCountsWhatIsUnderWay(t *testing.T) {
	var line delivery
	line.start()
	session := new(linkSession)
	line.add(delivered{session: session, event: Event{Variable: "a"}}, delivered{session: session, event: Event{Variable: "b"}}, delivered{do: func(context.Context) {}})
	if got := line.len(); got != 2 {
		t.Errorf("%d events wait, want 2", got)
	}
	for _, item := range line.take(nil) {
		if item.session != nil {
			line.gone(item.event.size())
			break
		}
	}
	if got := line.len(); got != 1 {
		t.Errorf("%d events wait after one is published, want 1", got)
	}
}
