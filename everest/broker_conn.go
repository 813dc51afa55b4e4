package everest

import (
	"bufio"
	"context"
	"net"
	"strconv"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/internal/quickack"
)

// writeLimit bounds one write to the broker. A connection that accepts no data for that long is lost.
const writeLimit = 10 * time.Second

const readBuffer = 16 << 10

// brokerConn is a connection to a broker. It reads ahead, because the MQTT client reads a packet's header byte by byte.
// It also makes the kernel acknowledge at once. A broker with Nagle's algorithm, such as mosquitto, otherwise delays
// its next small packet until the delayed acknowledgement, by 44 ms in each exchange.
type brokerConn struct {
	net.Conn
	buffered *bufio.Reader
}

func newBrokerConn(conn net.Conn) net.Conn {
	return &brokerConn{Conn: conn, buffered: bufio.NewReaderSize(quickack.Wrap(conn), readBuffer)}
}

func (c *brokerConn) Read(p []byte) (int, error) { return c.buffered.Read(p) }

func (c *brokerConn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// SetWriteDeadline does nothing. Write sets a deadline each time, because the client sets none for some packets.
func (c *brokerConn) SetWriteDeadline(time.Time) error { return nil }

func dialBroker(ctx context.Context, broker Broker) (net.Conn, error) {
	dialer := net.Dialer{Timeout: mqttConnectLimit, KeepAlive: mqttKeepAlive}
	network, address := "unix", broker.SocketPath
	if address == "" {
		host, port := broker.hostPort()
		network, address = "tcp", net.JoinHostPort(host, strconv.Itoa(port))
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return newBrokerConn(conn), nil
}
