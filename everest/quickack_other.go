//go:build !linux

package everest

import (
	"io"
	"net"
)

func promptReader(conn net.Conn) io.Reader { return conn }
