package aggregator_test

import (
	"fmt"

	"github.com/remotechargeport/remotechargeport/aggregator"
)

// The statuses of two boards become those of one station.
func ExampleFirmwareMerge() {
	merge := aggregator.NewFirmwareMerge(2)
	play := func(events ...aggregator.FirmwareEvent) {
		for _, event := range events {
			for _, action := range merge.Step(event) {
				switch action.Kind {
				case aggregator.FirmwareReply:
					fmt.Println("answer", action.Answer)
				case aggregator.FirmwarePublish:
					fmt.Println("publish", action.RequestID, action.Status)
				}
			}
		}
	}
	play(
		aggregator.FirmwareEvent{Kind: aggregator.FirmwareRequested, RequestID: 7, Signed: true},
		aggregator.FirmwareEvent{Kind: aggregator.FirmwareAnswered, Board: 0, Answer: aggregator.UpdateAccepted},
		aggregator.FirmwareEvent{Kind: aggregator.FirmwareAnswered, Board: 1, Answer: aggregator.UpdateAccepted},
		aggregator.FirmwareEvent{Kind: aggregator.FirmwareReported, Board: 0, RequestID: 7, Status: aggregator.FirmwareDownloading},
		aggregator.FirmwareEvent{Kind: aggregator.FirmwareReported, Board: 1, RequestID: 7, Status: aggregator.FirmwareDownloading},
		aggregator.FirmwareEvent{Kind: aggregator.FirmwareReported, Board: 1, RequestID: 7, Status: aggregator.FirmwareDownloadFailed},
	)
	// Output:
	// answer Accepted
	// publish 7 Downloading
	// publish 7 DownloadFailed
}
