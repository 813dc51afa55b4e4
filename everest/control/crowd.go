package control

import (
	"net"
	"sync"
	"time"
)

// crowd is a listener that lets only so many in at a time. One too many is told so and not kept waiting.
type crowd struct {
	net.Listener
	places chan struct{}
}

const tooMany = `{"error":"control: too many connections at a time: close some"}` + "\n"

const turnedAway = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + tooMany

// Accept returns the next connection for which there is a place.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		connection, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case c.places <- struct{}{}:
			return &guest{Conn: connection, leave: sync.OnceFunc(func() { <-c.places })}, nil
		default:
			_ = connection.SetDeadline(time.Now().Add(time.Second))
			// Who cannot write a request any more does not read the answer.
			_, _ = connection.Read(make([]byte, 4<<10))
			_, _ = connection.Write([]byte(turnedAway)) // a new connection has room for it
			_ = connection.Close()
		}
	}
}

type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
