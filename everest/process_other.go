//go:build !linux

package everest

func spawnedByManager() bool { return false }

func parentProcess() string { return "" }

func keepDescriptorsFromChildren() error { return nil }

// claim does not know whether another process holds the name.
func claim(string) (release func(), ok bool) { return nil, false }
