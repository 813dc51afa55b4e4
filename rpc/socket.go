package rpc

import (
	"errors"
	"net"
	"time"
)

const keepAliveProbes = 3

// tune sets the options of a TCP socket that make a dead peer noticed; other connections have none.
func tune(conn net.Conn, keepAlive, userTimeout time.Duration) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	err := tcp.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: keepAlive > 0, Idle: keepAlive, Interval: keepAlive, Count: keepAliveProbes,
	})
	if userTimeout > 0 {
		err = errors.Join(err, setUserTimeout(tcp, userTimeout))
	}
	return errors.Join(err, tcp.SetNoDelay(true))
}
