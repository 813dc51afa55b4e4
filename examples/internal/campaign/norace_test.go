//go:build !race

package campaign

// raceEnabled: the modules are built as the test was.
const raceEnabled = false
