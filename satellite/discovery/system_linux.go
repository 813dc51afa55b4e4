package discovery

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// shareGroupPort shares the port with other programs, such as avahi. It switches off packets of groups that only they
// have joined.
func shareGroupPort(_, _ string, conn syscall.RawConn) error {
	var failed error
	err := conn.Control(func(descriptor uintptr) {
		failed = unix.SetsockoptInt(int(descriptor), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		// One of the two fails on each socket. Packets are filtered by interface anyway.
		unix.SetsockoptInt(int(descriptor), unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
		unix.SetsockoptInt(int(descriptor), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0)
	})
	return errors.Join(err, failed)
}

// isMember reports whether joining failed because the socket is a member already.
func isMember(err error) bool { return errors.Is(err, unix.EADDRINUSE) }

// watchInterfaces returns a channel that receives a value after a change of an interface or an address, and a function
// that ends the reports.
func watchInterfaces() (<-chan struct{}, func(), error) {
	descriptor, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, nil, fmt.Errorf("discovery: netlink: %w", err)
	}
	err = unix.Bind(descriptor, &unix.SockaddrNetlink{
		Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR,
	})
	if err != nil {
		unix.Close(descriptor)
		return nil, nil, fmt.Errorf("discovery: netlink: %w", err)
	}
	file := os.NewFile(uintptr(descriptor), "netlink")
	changes := make(chan struct{}, 1)
	var reader sync.WaitGroup
	reader.Go(func() {
		buffer := make([]byte, 4096)
		for {
			_, err := file.Read(buffer)
			// ENOBUFS means that the kernel dropped reports: something has changed.
			if err != nil && !errors.Is(err, unix.ENOBUFS) {
				return
			}
			select {
			case changes <- struct{}{}:
			default:
			}
		}
	})
	return changes, func() {
		file.Close()
		reader.Wait()
	}, nil
}
