package aggregator

import (
	"path/filepath"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/durable/durabletest"
)

// TestStateSurvivesCuts saves a state in a directory that is made first, changes it and forgets it.
func TestStateSurvivesCuts(t *testing.T) {
	file := func(directory string) stateFile {
		return stateFile{filepath.Join(directory, "state", "aggregator", "system_aggregator.firmware.json")}
	}
	save := func(value string) func(string) error {
		return func(directory string) error { return file(directory).save(value) }
	}
	durabletest.Cut(t, durabletest.Program{
		Steps: []func(string) error{save("Downloading"), save("Installing"), func(directory string) error { return file(directory).remove() }},
		Read: func(directory string) (string, error) {
			var value string
			_, err := file(directory).load(&value)
			return value, err
		},
		Repeats: true,
	})
}
