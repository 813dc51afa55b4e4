package mqtt

import (
	"bufio"
	"context"
	"net"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/internal/quickack"
)

// writeLimit bounds one write to the broker. A connection that accepts no data for that long is lost.
const writeLimit = 10 * time.Second

const readBuffer = 16 << 10

// brokerConn is a connection to a broker. It reads ahead, because a packet's header is read byte by byte. It also makes
// the kernel acknowledge at once. A broker with Nagle's algorithm, such as mosquitto, otherwise delays its next small
// packet until the delayed acknowledgement, by 44 ms in each exchange.
type brokerConn struct {
	net.Conn
	buffered *bufio.Reader
}

// Dial connects to the address of a broker.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: connectLimit, KeepAlive: keepAlive}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return Wrap(conn), nil
}

// Wrap bounds each write of a connection, reads ahead on it, and acknowledges at once.
func Wrap(conn net.Conn) net.Conn {
	return &brokerConn{Conn: conn, buffered: bufio.NewReaderSize(quickack.Wrap(conn), readBuffer)}
}

func (c *brokerConn) Read(p []byte) (int, error) { return c.buffered.Read(p) }

func (c *brokerConn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
