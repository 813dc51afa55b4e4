package everest

import (
	"bufio"
	"context"
	"net"
	"strconv"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/internal/quickack"
)

// writeLimit bounds one write to the broker: a connection that takes nothing for that long is lost.
const writeLimit = 10 * time.Second

const readBuffer = 16 << 10

// brokerConn is a connection to a broker. It reads ahead, for the MQTT client reads a packet's header byte by byte, and
// asks the kernel to acknowledge at once: a broker that leaves Nagle's algorithm on, as mosquitto does, otherwise holds
// its next small packet back until the delayed acknowledgement, 44 ms in each exchange.
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

// SetWriteDeadline does nothing: Write sets one each time, for the client forgets it for some packets.
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
