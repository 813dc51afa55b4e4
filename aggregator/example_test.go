package aggregator_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

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

func ExampleUploader() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
	}))
	defer backend.Close()
	directory, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(directory)
	file := filepath.Join(directory, "packed")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	location, err := aggregator.ParseLocation(backend.URL + "/in/")
	if err != nil {
		fmt.Println(err)
		return
	}
	uploader := aggregator.NewUploader(aggregator.UploaderConfig{})
	fmt.Println(uploader.Upload(context.Background(), location, file, "logs.tar.gz", nil))
	_, err = aggregator.ParseLocation("gopher://somewhere/")
	fmt.Println(err)
	// Output:
	// PUT /in/logs.tar.gz
	// <nil>
	// aggregator: upload: uploads go to ftp, ftps, sftp, http or https
}
