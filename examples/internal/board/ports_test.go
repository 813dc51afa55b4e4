package board

import "testing"

func TestFreePortsAreDifferent(t *testing.T) {
	ports, err := FreePorts(64)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range ports {
		if seen[port] || port < 1024 {
			t.Errorf("port %d is there twice, or needs privileges", port)
		}
		seen[port] = true
	}
	if len(seen) != 64 {
		t.Errorf("%d ports", len(seen))
	}
}
