//go:build !linux

package discovery

import (
	"errors"
	"syscall"
)

// shareGroupPort does nothing: the port is not shared with others.
func shareGroupPort(string, string, syscall.RawConn) error { return nil }

func isMember(error) bool { return false }

// watchInterfaces is not available: interfaces are looked at every few seconds.
func watchInterfaces() (<-chan struct{}, func(), error) {
	return nil, nil, errors.New("discovery: this system is not asked for changes of interfaces")
}
