package aggregator

import (
	"testing"
)

// playUpdate plays a whole signed update of a station, and a report that says nothing new after each one that does.
func playUpdate(merge *FirmwareMerge, boards int, id int64) (reports int) {
	merge.Step(FirmwareEvent{Kind: FirmwareRequested, RequestID: id, Signed: true})
	for board := range boards {
		merge.Step(FirmwareEvent{Kind: FirmwareAnswered, Board: board, Answer: UpdateAccepted})
	}
	for _, status := range []FirmwareStatus{
		FirmwareDownloading, FirmwareDownloaded, FirmwareSignatureVerified, FirmwareInstalling, FirmwareInstalled,
	} {
		for board := range boards {
			for range 2 {
				merge.Step(FirmwareEvent{Kind: FirmwareReported, Board: board, RequestID: id, Status: status})
				reports++
			}
		}
		if status == FirmwareSignatureVerified {
			merge.Step(FirmwareEvent{Kind: FirmwareAllowed})
		}
	}
	return reports
}

func TestMergesDoNotAllocate(t *testing.T) {
	const boards = 65
	firmware := NewFirmwareMerge(boards)
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
	logs := NewLogMerge(boards)
	if allocations := testing.AllocsPerRun(20, func() {
		id++
		job := logs.Step(LogEvent{Kind: LogRequested, RequestID: id, BoardRequestID: id})[0].Job
		for board := range boards {
			logs.Step(LogEvent{Kind: LogAnswered, Job: job, Board: board, Answer: LogsAccepted})
			logs.Step(LogEvent{Kind: LogReported, Board: board, BoardRequestID: id, Status: LogUploaded})
		}
		logs.Step(LogEvent{Kind: LogPacked, Job: job})
		logs.Step(LogEvent{Kind: LogUploadEnded, Job: job, Status: LogUploaded})
	}); allocations != 0 {
		t.Errorf("a log upload allocates %v times", allocations)
	}
	if !logs.Idle() {
		t.Error("the log upload did not come to its end")
	}
}

func BenchmarkFirmwareMergeReport(b *testing.B) {
	for name, boards := range map[string]int{"boards=4": 4, "boards=65": 65} {
		b.Run(name, func(b *testing.B) {
			merge := NewFirmwareMerge(boards)
			id, reports := int64(0), 0
			b.ReportAllocs()
			for b.Loop() {
				id++
				reports += playUpdate(merge, boards, id)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(reports), "ns/report")
		})
	}
}
