package firmware_test

import (
	"fmt"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
)

// The statuses of two boards become those of one station.
func ExampleMachine() {
	machine := firmware.NewMachine(2)
	for _, event := range []firmware.Event{
		firmware.Requested{RequestID: 7, Signed: true, Attempts: 1},
		firmware.Responded{Board: 0, Response: firmware.ResponseAccepted},
		firmware.Responded{Board: 1, Response: firmware.ResponseAccepted},
		firmware.Reported{Board: 0, RequestID: 7, Status: firmware.Downloading},
		firmware.Reported{Board: 1, RequestID: 7, Status: firmware.Downloading},
		firmware.Reported{Board: 1, RequestID: 7, Status: firmware.DownloadFailed},
	} {
		for _, action := range machine.Step(event) {
			switch action := action.(type) {
			case *firmware.Reply:
				fmt.Println("reply", action.Response)
			case *firmware.Publish:
				fmt.Println("publish", action.RequestID, action.Status)
			}
		}
	}
	// Output:
	// reply Accepted
	// publish 7 Downloading
	// publish 7 DownloadFailed
}
