package logs

import "testing"

func TestUploadDoesNotAllocate(t *testing.T) {
	const boards = 65
	id := int64(0)
	machine := NewMachine(boards)
	if allocations := testing.AllocsPerRun(20, func() {
		id++
		job := machine.Step(Requested{RequestID: id, BoardRequestID: id})[0].(*Ask).Job
		for board := range boards {
			machine.Step(Responded{Job: job, Board: board, Response: ResponseAccepted})
			machine.Step(Reported{Board: board, BoardRequestID: id, Status: Uploaded})
		}
		machine.Step(Packed{Job: job})
		machine.Step(UploadEnded{Job: job, Status: Uploaded})
	}); allocations != 0 {
		t.Errorf("a log upload allocates %v times", allocations)
	}
	if !machine.Idle() {
		t.Error("the log upload did not come to its end")
	}
}
