//go:build race

package main

// raceEnabled: the modules are built as the test was.
const raceEnabled = true
