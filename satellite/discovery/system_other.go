//go:build !linux

package discovery

import (
	"errors"
	"syscall"
)

// shareGroupPort does nothing: the port is not shared with other programs.
func shareGroupPort(string, string, syscall.RawConn) error { return nil }

func isMember(error) bool { return false }

// watchInterfaces always fails: interfaces are read every few seconds instead.
func watchInterfaces() (<-chan struct{}, func(), error) {
	return nil, nil, errors.New("discovery: this system does not report changes of interfaces")
}
