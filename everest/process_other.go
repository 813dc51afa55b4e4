//go:build !linux

package everest

func spawnedByManager() bool { return false }

func keepDescriptorsFromChildren() error { return nil }
