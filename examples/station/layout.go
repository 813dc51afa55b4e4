package main

import (
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// boardMain is the name of the main board.
const boardMain = "main"

func satelliteName(number int) string { return "satellite" + strconv.Itoa(number) }

// BoardConfig is what one board is. The station sends it to the board's process as
// its first order.
type BoardConfig struct {
	Name string `json:"name"`
	// Satellite is the satellite's number from 1, 0 for the main board.
	Satellite int `json:"satellite,omitempty"`
	// Broker is the URL of an MQTT broker; empty starts an embedded one.
	Broker string `json:"broker,omitempty"`
	// EverestPrefix is the prefix of the board's topics.
	EverestPrefix string `json:"everest_prefix"`
	// Family is the family of EVerest's messages.
	Family string `json:"family"`
	// Ports are TCP ports: the one where a satellite's agent listens, or those where
	// the main board finds the agents of all satellites.
	Ports    []int   `json:"ports"`
	Speed    float64 `json:"speed"`
	LogLevel string  `json:"log_level"`
	// LinkTimeout is the controllers' link_timeout_ms; 0 leaves the default.
	LinkTimeout time.Duration `json:"link_timeout,omitempty"`
	// Apart runs the modules of the link as processes of their own.
	Apart bool `json:"apart,omitempty"`
	// Sockets is the directory of the status sockets of the board's modules, empty for none.
	Sockets string `json:"sockets,omitempty"`
}

// controlSocket returns the configuration key control_socket of a module.
func (c BoardConfig) controlSocket(moduleID string) string {
	if c.Sockets == "" {
		return "none"
	}
	return filepath.Join(c.Sockets, moduleID+".sock")
}

// Boards lays the station out: the main board first, then the satellites, whose
// agents listen on the ports.
func Boards(flags Flags, ports []int) []BoardConfig {
	boards := []BoardConfig{{Name: boardMain, Broker: flags.BrokerMain, Ports: slices.Clone(ports)}}
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
		board.Family = flags.FamilySatellite
		if board.Satellite == 0 {
			board.Family = flags.FamilyMain
		}
		// Boards on one broker need prefixes of their own, because their module ids are the same.
		if board.Broker != "" && sharing[board.Broker] > 1 {
			board.EverestPrefix = "everest-" + board.Name + "/"
		}
	}
	return boards
}
