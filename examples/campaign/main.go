//go:build linux

// Command campaign makes faults happen to a real station and keeps account of what it loses.
//
// The station has two boards. Each is a network namespace with an MQTT broker and the real program of the link's module,
// built from examples/agent and examples/controller. This program plays the rest: the managers, the charge port, which
// replays recorded traffic, the main board's modules, which call commands, and the system manager that starts a board
// again. A third namespace between the two is the network: it routes, drops packets, and holds a forwarder.
//
// Faults are drawn from a seed. A fault of the link, or a module that is stopped for a while, must lose nothing, double
// nothing, keep the order, and have every command executed exactly once. After the kill of a module or a broker both boards
// must start afresh together. What is lost then is counted: it may only be what had not arrived, without a gap, and
// nothing may arrive twice.
//
//	go run ./examples/campaign                 each kind of fault, about a minute
//	go run ./examples/campaign -faults 1000    the long form
//
// It needs Linux, the right to make network namespaces (root, or CAP_NET_ADMIN and CAP_SYS_ADMIN), and the programs ip, nft
// and go. It exits with status 0 only if the account balances. See doc/reliability.md.
package main

import (
	"os"

	"github.com/remotechargeport/remotechargeport/examples/internal/campaign"
)

func main() { os.Exit(campaign.Main(os.Args[1:])) }
