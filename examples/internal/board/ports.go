package board

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Address is where agents listen: the boards' network is this machine.
const Address = "127.0.0.1"

// FreePorts finds TCP ports of the loopback interface for the agents. They are
// below the range from which systems take ports for outgoing connections, so that
// none is taken while its board restarts.
func FreePorts(count int) ([]int, error) {
	const first, last, attempts = 10000, 30000, 1000
	var ports []int
	for range attempts {
		if len(ports) == count {
			return ports, nil
		}
		port := first + rand.IntN(last-first)
		listener, err := net.Listen("tcp", net.JoinHostPort(Address, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		// All are held until the last is found, so that none is found twice.
		defer listener.Close()
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("found only %d of %d free ports between %d and %d", len(ports), count, first, last)
}

// NewLogger returns a logger that writes one line for each entry, and drops none.
func NewLogger(to io.Writer, level string) (*zap.Logger, error) {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	encoding := zap.NewDevelopmentEncoderConfig()
	encoding.TimeKey = zapcore.OmitKey
	encoding.CallerKey = zapcore.OmitKey
	encoding.StacktraceKey = zapcore.OmitKey
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), zapcore.Lock(zapcore.AddSync(to)), parsed)), nil
}
