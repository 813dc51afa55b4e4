package durable_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/remotechargeport/remotechargeport/everest/durable"
)

func ExampleReplace() {
	directory, err := os.MkdirTemp("", "state")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(directory)

	path := filepath.Join(directory, "counter")
	for _, content := range []string{"41", "42"} {
		if err := durable.Replace(path, []byte(content), 0o600); err != nil {
			fmt.Println(err)
			return
		}
	}
	content, err := os.ReadFile(path)
	fmt.Println(string(content), err)
	// Output: 42 <nil>
}
