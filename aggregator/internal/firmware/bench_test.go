package firmware

import (
	"testing"
)

// playUpdate plays a whole signed update of a station. Each report comes twice.
func playUpdate(machine *Machine, boards int, id int64) (reports int) {
	machine.Step(Requested{RequestID: id, Signed: true})
	for board := range boards {
		machine.Step(Responded{Board: board, Response: ResponseAccepted})
	}
	for _, status := range []Status{
		Downloading, Downloaded, SignatureVerified, Installing, Installed,
	} {
		for board := range boards {
			for range 2 {
				machine.Step(Reported{Board: board, RequestID: id, Status: status})
				reports++
			}
		}
		if status == SignatureVerified {
			machine.Step(Allowed{})
		}
	}
	return reports
}

func TestUpdateDoesNotAllocate(t *testing.T) {
	const boards = 65
	firmware := NewMachine(boards)
	id := int64(0)
	if allocations := testing.AllocsPerRun(20, func() {
		id++
		playUpdate(firmware, boards, id)
	}); allocations != 0 {
		t.Errorf("an update allocates %v times", allocations)
	}
	if _, active := firmware.Active(); active {
		t.Error("the update did not come to its end")
	}
}

func BenchmarkMachineReport(b *testing.B) {
	for name, boards := range map[string]int{"boards=4": 4, "boards=65": 65} {
		b.Run(name, func(b *testing.B) {
			machine := NewMachine(boards)
			id, reports := int64(0), 0
			b.ReportAllocs()
			for b.Loop() {
				id++
				reports += playUpdate(machine, boards, id)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(reports), "ns/report")
		})
	}
}
