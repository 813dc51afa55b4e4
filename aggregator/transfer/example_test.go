package transfer_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
)

func ExampleUploader() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		fmt.Printf("%s %s: %s\n", r.Method, r.URL.Path, content)
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
	location, err := transfer.ParseLocation(backend.URL + "/in/")
	if err != nil {
		fmt.Println(err)
		return
	}
	uploader := transfer.NewUploader(transfer.UploaderConfig{})
	fmt.Println(uploader.Upload(context.Background(), location, file, "logs.tar.gz", nil))
	_, err = transfer.ParseLocation("gopher://somewhere/")
	fmt.Println(err)
	// Output:
	// PUT /in/logs.tar.gz: content
	// <nil>
	// transfer: the location's scheme must be ftp, ftps, sftp, http or https
}
