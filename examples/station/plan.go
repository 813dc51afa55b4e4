package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

const (
	boardMain       = "main"
	satellitePrefix = "satellite"
)

func satelliteName(number int) string { return satellitePrefix + strconv.Itoa(number) }

// BoardConfig says what one board is. The station hands it to the board's
// process as its first order.
type BoardConfig struct {
	Name string `json:"name"`
	// Satellite is the satellite's number from 1, 0 for the main board.
	Satellite int `json:"satellite,omitempty"`
	// Broker is the URL of an MQTT broker; empty starts an embedded one.
	Broker string `json:"broker,omitempty"`
	// EverestPrefix is the prefix of the board's topics.
	EverestPrefix string `json:"everest_prefix"`
	// Ports are the agents' TCP ports: a satellite's own, or those of all
	// satellites for the main board.
	Ports    []int   `json:"ports"`
	Speed    float64 `json:"speed"`
	LogLevel string  `json:"log_level"`
	// LinkTimeout is what a controller takes for a dead link; 0 leaves its default.
	LinkTimeout time.Duration `json:"link_timeout,omitempty"`
	// Apart runs the modules of the link as processes of their own.
	Apart bool `json:"apart,omitempty"`
}

// sort is what a board is in the table of costs.
func (c BoardConfig) sort() string {
	if c.Satellite > 0 {
		return costSatellite
	}
	return costMain
}

// Boards lays the station out: the main board first, then the satellites. The
// agents are at the ports.
func Boards(flags Flags, ports []int) []BoardConfig {
	boards := []BoardConfig{{Name: boardMain, Broker: flags.BrokerMain, Ports: ports}}
	for number := 1; number <= flags.Satellites; number++ {
		board := BoardConfig{Name: satelliteName(number), Satellite: number, Ports: ports[number-1 : number]}
		switch len(flags.BrokerSatellite) {
		case 0:
		case 1:
			board.Broker = flags.BrokerSatellite[0]
		default:
			board.Broker = flags.BrokerSatellite[number-1]
		}
		boards = append(boards, board)
	}
	sharing := map[string]int{}
	for _, board := range boards {
		sharing[board.Broker]++
	}
	for i := range boards {
		board := &boards[i]
		board.Speed, board.LogLevel, board.EverestPrefix = flags.Speed, flags.LogLevel, "everest/"
		board.Apart = flags.Apart
		// An embedded broker is never shared. One that is must not mix its boards up:
		// their module ids are the same.
		if board.Broker != "" && sharing[board.Broker] > 1 {
			board.EverestPrefix = "everest-" + board.Name + "/"
		}
	}
	return boards
}

// FreePorts finds TCP ports of the loopback interface for the agents. They are
// below the range from which systems take ports for outgoing connections, so
// that none is taken while its board restarts.
func FreePorts(count int) ([]int, error) {
	const first, last, attempts = 10000, 30000, 1000
	var ports []int
	for range attempts {
		if len(ports) == count {
			return ports, nil
		}
		port := first + rand.IntN(last-first)
		listener, err := net.Listen("tcp", net.JoinHostPort(agentAddress, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		// All are held until the last is found, so that none is found twice.
		defer listener.Close()
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("found only %d of %d free ports between %d and %d", len(ports), count, first, last)
}

// agentAddress is where the agents listen: the boards' network is this machine.
const agentAddress = "127.0.0.1"

// Backoff is the wait before a board is started again, as systemd would do it.
// Its zero value is ready to use.
type Backoff struct{ failures int }

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 5 * time.Second
	// startLimit is how often a board may end before it is ready, one time after
	// the other, until starting it once more is pointless.
	startLimit = 5
)

// Ready says that the board became ready.
func (b *Backoff) Ready() { b.failures = 0 }

// Ended says that the board's process ended, and returns how long to wait before
// the next start; false means that it is not worth another one.
func (b *Backoff) Ended() (time.Duration, bool) {
	wait := min(backoffFirst<<b.failures, backoffMost)
	b.failures++
	return wait, b.failures < startLimit
}
